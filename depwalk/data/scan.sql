-- The database of `depwalk scan`, version 1. docs/database.md explains it and has queries.
--
-- Text that is no valid Unicode (file names that are no UTF-8) is stored as a BLOB: its UTF-8 with the lone surrogates in it.
-- Lists and options are JSON. Sizes are bytes, `changed` is nanoseconds since 1970, times of day are ISO 8601 in UTC.

PRAGMA application_id = 0x6470776B; -- "dpwk"
PRAGMA user_version = 1;

-- One scan.
CREATE TABLE runs (
    id         INTEGER PRIMARY KEY, -- ascending in time
    started    TEXT NOT NULL,
    finished   TEXT,                -- NULL while it is running, and where it was killed
    state      TEXT NOT NULL CHECK (state IN ('running', 'complete', 'interrupted')),
    tool       TEXT NOT NULL,       -- version of depwalk
    paths      TEXT NOT NULL,       -- what was asked for: a list
    options    TEXT NOT NULL,       -- what was asked for besides paths and cases: an object
    listing_id INTEGER REFERENCES listings -- what was there; NULL if it did not come to that
);

-- What files are judged for, in the words of the command line.
CREATE TABLE cases (
    id       INTEGER PRIMARY KEY,
    label    TEXT NOT NULL, -- for a person
    windows  TEXT NOT NULL, -- '10', '7-core', 'live', ...
    runtimes TEXT NOT NULL, -- redistributables that are assumed: a list
    python   TEXT,          -- NULL: what each file was built for
    cpu      TEXT           -- NULL: none is assumed
);

-- The cases of a run, in the order in which they were asked for.
CREATE TABLE run_cases (
    run_id   INTEGER NOT NULL REFERENCES runs,
    position INTEGER NOT NULL,
    case_id  INTEGER NOT NULL REFERENCES cases,
    PRIMARY KEY (run_id, position)
) WITHOUT ROWID;

-- What is scanned as one. A wheel that was replaced by another of the same name is another unit.
CREATE TABLE units (
    id      INTEGER PRIMARY KEY,
    path    TEXT NOT NULL,
    kind    TEXT NOT NULL, -- 'site' (a site-packages), 'prefix' (of conda), 'wheel', 'directory'
    size    INTEGER NOT NULL, -- of a wheel, else 0
    changed INTEGER NOT NULL, -- of a wheel, else 0
    UNIQUE (path, kind, size, changed)
);

-- A version of a file at a path. A file that was replaced is another row.
CREATE TABLE files (
    id           INTEGER PRIMARY KEY,
    path         TEXT NOT NULL, -- of a wheel's member: the wheel's path, and the member's behind it
    name         TEXT NOT NULL, -- the last part of the path, in lower case
    unit_id      INTEGER NOT NULL REFERENCES units,
    kind         TEXT NOT NULL,    -- 'extension', 'program', 'dll'; 'wheel' for one that could not be opened
    size         INTEGER NOT NULL,
    changed      INTEGER NOT NULL, -- as last seen; 0 in a wheel
    sha256       TEXT NOT NULL,    -- of the content; empty if it was not asked for
    distribution TEXT NOT NULL,    -- whose it is; empty if that is not known
    version      TEXT NOT NULL,    -- of the distribution
    architecture TEXT NOT NULL,
    python       TEXT NOT NULL     -- that an extension was built for: '3.11', '3.13t', 'abi3'; else empty
);
CREATE INDEX files_by_path ON files (path);
CREATE INDEX files_by_name ON files (name);
CREATE INDEX files_by_unit ON files (unit_id);

-- What was there when a run began, whether it was judged or not. Runs that find the same share a listing.
CREATE TABLE listings (
    id INTEGER PRIMARY KEY
);

-- The files of a listing, except those in wheels.
CREATE TABLE listed_files (
    listing_id INTEGER NOT NULL REFERENCES listings,
    file_id    INTEGER NOT NULL REFERENCES files,
    PRIMARY KEY (listing_id, file_id)
) WITHOUT ROWID;

-- The wheels of a listing.
CREATE TABLE listed_wheels (
    listing_id INTEGER NOT NULL REFERENCES listings,
    unit_id    INTEGER NOT NULL REFERENCES units,
    PRIMARY KEY (listing_id, unit_id)
) WITHOUT ROWID;

-- What was found for one version of a file in one case.
CREATE TABLE judgements (
    id            INTEGER PRIMARY KEY,
    file_id       INTEGER NOT NULL REFERENCES files,
    case_id       INTEGER NOT NULL REFERENCES cases,
    tool          TEXT NOT NULL,    -- version of depwalk
    verdict       TEXT,             -- 'loads', 'fails', 'unknown'; NULL if it was not judged
    basis         TEXT,             -- 'static' (by the files alone) or 'loader' (the real loader said so)
    reason        TEXT NOT NULL,    -- why it was not judged, for a person
    unreadable    INTEGER NOT NULL, -- 1 if the reason is that it cannot be read
    elapsed_ms    REAL NOT NULL,    -- how long that took, in milliseconds
    source_set_id INTEGER REFERENCES source_sets -- what else it depended on; NULL: nothing
);
CREATE INDEX judgements_by_file ON judgements (file_id);

-- What a run found: a judgement of its own, or an earlier one that still held.
CREATE TABLE results (
    run_id       INTEGER NOT NULL REFERENCES runs,
    judgement_id INTEGER NOT NULL REFERENCES judgements,
    reused       INTEGER NOT NULL, -- 1 if it is an earlier one
    PRIMARY KEY (run_id, judgement_id)
) WITHOUT ROWID;
CREATE INDEX results_by_judgement ON results (judgement_id, run_id);

-- The modules that a load would bring into the process. Position 0 is the file itself.
CREATE TABLE modules (
    judgement_id INTEGER NOT NULL REFERENCES judgements,
    position     INTEGER NOT NULL,
    name         TEXT NOT NULL,    -- as it was searched for
    dll          TEXT NOT NULL,    -- its last part in lower case: compare with this
    path         TEXT,             -- NULL if there is no file
    status       TEXT NOT NULL,    -- 'found', 'system', 'api-set', 'missing', 'wrong-architecture', 'corrupt', 'blocked'
    architecture TEXT NOT NULL,
    version      TEXT NOT NULL,    -- of the file, by its version resource
    depth        INTEGER NOT NULL, -- imports between it and the file itself
    delayed      INTEGER NOT NULL, -- 1 if only delay-loaded imports lead to it
    rule         TEXT NOT NULL,    -- of the search order, by which it was found
    PRIMARY KEY (judgement_id, position)
) WITHOUT ROWID;
CREATE INDEX modules_by_dll ON modules (dll);
CREATE INDEX modules_not_there ON modules (status) WHERE status IN ('missing', 'blocked');

-- Who needs whom among the modules of a judgement.
CREATE TABLE edges (
    judgement_id INTEGER NOT NULL REFERENCES judgements,
    position     INTEGER NOT NULL,
    importer     INTEGER NOT NULL, -- position of a module
    imported     INTEGER NOT NULL, -- position of a module
    kind         TEXT NOT NULL,    -- 'import', 'delay', 'forward', 'clr'
    name         TEXT NOT NULL,    -- of the imported module as the importer has it
    dll          TEXT,             -- its last part in lower case where that is not the module's, as with API sets
    symbols      INTEGER NOT NULL, -- how many functions and variables are imported
    unresolved   TEXT NOT NULL,    -- those that the imported module does not export, names or #ordinals: a list
    PRIMARY KEY (judgement_id, position)
) WITHOUT ROWID;
CREATE INDEX edges_by_dll ON edges (dll) WHERE dll IS NOT NULL;

-- The causes, errors first. Position 0 is the one that the verdict is about.
CREATE TABLE findings (
    judgement_id INTEGER NOT NULL REFERENCES judgements,
    position     INTEGER NOT NULL,
    code         TEXT NOT NULL, -- each has a page in docs/findings
    severity     TEXT NOT NULL, -- 'error', 'warning', 'note'
    proof        TEXT NOT NULL, -- 'loader', 'static', 'inferred'
    module       TEXT NOT NULL, -- name of the module at fault
    needed_by    TEXT NOT NULL, -- name of its importer; empty if there is none
    message      TEXT NOT NULL, -- one sentence
    evidence     TEXT NOT NULL, -- facts: a list
    remedy       TEXT,          -- what to do; NULL if nothing can be said
    command      TEXT NOT NULL, -- that does it; or empty
    url          TEXT NOT NULL, -- that tells more; or empty
    also         TEXT NOT NULL, -- names of other modules with the same cause: a list
    PRIMARY KEY (judgement_id, position)
) WITHOUT ROWID;
CREATE INDEX findings_by_code ON findings (code);

-- A file or directory outside of the listing as it was when a judgement depended on it.
CREATE TABLE sources (
    id      INTEGER PRIMARY KEY,
    path    TEXT NOT NULL,
    size    INTEGER, -- NULL: it was not there
    changed INTEGER  -- NULL: it was not there, or it changed while the run was under way
);

-- Judgements that depended on the same sources share a set.
CREATE TABLE source_sets (
    id INTEGER PRIMARY KEY
);

-- The sources of a set.
CREATE TABLE source_set_members (
    source_set_id INTEGER NOT NULL REFERENCES source_sets,
    position      INTEGER NOT NULL,
    source_id     INTEGER NOT NULL REFERENCES sources,
    read          INTEGER NOT NULL, -- 1: a Python file that was read; 0: a module of the tree, or the directory that it is in
    PRIMARY KEY (source_set_id, position)
) WITHOUT ROWID;

-- ---- views for queries by hand

-- What the last run found that is no longer running: a row for each file and case.
CREATE VIEW latest AS
SELECT r.run_id, r.reused, j.id AS judgement_id, j.file_id, j.case_id, u.path AS unit, u.kind AS unit_kind, f.path, f.name,
       f.kind, f.size, f.distribution, f.version, f.architecture, f.python, c.label AS "case", c.windows, c.runtimes,
       c.python AS for_python, c.cpu, j.verdict, j.basis, j.reason, j.unreadable, j.elapsed_ms
FROM results r
JOIN judgements j ON j.id = r.judgement_id
JOIN files f ON f.id = j.file_id
JOIN units u ON u.id = f.unit_id
JOIN cases c ON c.id = j.case_id
WHERE r.run_id = (SELECT max(id) FROM runs WHERE state <> 'running');

-- What the files of the last run import themselves, whatever the case.
CREATE VIEW imports AS
SELECT DISTINCT l.distribution, l.path, coalesce(e.dll, m.dll) AS dll, e.kind, e.symbols
FROM latest l
JOIN edges e ON e.judgement_id = l.judgement_id AND e.importer = 0
JOIN modules m ON m.judgement_id = e.judgement_id AND m.position = e.imported;

-- The findings of the last run with their files and cases. Position 0 is the cause of a verdict.
CREATE VIEW causes AS
SELECT l.*, f.position, f.code, f.severity, f.proof, f.module, f.needed_by, f.message, f.evidence, f.remedy, f.command, f.url
FROM latest l
JOIN findings f ON f.judgement_id = l.judgement_id;

-- DLLs that the last run did not find, with the files and cases that lack them.
CREATE VIEW missing AS
SELECT l.*, m.dll, m.delayed, m.depth
FROM latest l
JOIN modules m ON m.judgement_id = l.judgement_id AND m.status = 'missing';

-- The files that were there in the last run, judged or not: those of its listing, and the members of its wheels.
CREATE VIEW present AS
SELECT f.*
FROM files f
WHERE f.id IN (SELECT file_id FROM latest)
   OR f.id IN (
       SELECT l.file_id FROM listed_files l JOIN runs r ON r.listing_id = l.listing_id
       WHERE r.id = (SELECT max(id) FROM runs WHERE state <> 'running')
   );
