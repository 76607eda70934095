"""Event logs: what wevtutil.exe is asked, how its XML is read, and which events are about a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from logged import SAMPLES, sample

from depwalk import tables
from depwalk.host import events
from depwalk.host.events import Event, Events

SPECFUN = r"C:\site\scipy\special\_specfun.cp314-win_amd64.pyd"
DLL = "Microsoft-Windows-AppLocker/EXE and DLL"


def one(path: str) -> Event:
    """An event with this path in it."""
    return Event("log", "provider", 1, "", (("File Name", path),))


@pytest.fixture
def wevtutil(tmp_path: Path) -> list[str]:
    """A program in the place of wevtutil.exe: it answers from files named after the logs, and else fails with 5."""
    script = tmp_path / "wevtutil.py"
    script.write_text(
        "import pathlib, sys\n"
        "log = pathlib.Path(__file__).with_name(sys.argv[2].replace('/', '_') + '.xml')\n"
        "if not log.exists(): sys.exit(5)\n"
        "text = log.read_text('utf-8')\n"
        "if text.isdigit(): sys.exit(int(text))\n"
        "sys.stdout.buffer.write(text.encode('utf-16-le'))\n",
        "ascii",
    )
    return [sys.executable, str(script)]


def answers(wevtutil: list[str], **texts: str) -> None:
    """Give texts to logs, by the last word of their channel; the others stay unreadable."""
    for log in tables.table("events.toml")["log"]:
        for word, text in texts.items():
            if word in log["name"]:
                Path(wevtutil[1]).with_name(log["name"].replace("/", "_") + ".xml").write_text(text, "utf-8")


# ---- what is asked -----------------------------------------------------------------------------------------------


def test_a_log_is_asked_for_xml_of_the_newest_events_of_some_minutes() -> None:
    log = {"name": "Application", "events": {"SideBySide": [33, 35]}}
    query = (
        "*[System[((Provider[@Name='SideBySide'] and (EventID=33 or EventID=35))) "
        "and TimeCreated[timediff(@SystemTime) <= 600000]]]"
    )
    asked = events.arguments(log, 10)
    assert asked[:4] == ["qe", "Application", f"/q:{query}", "/f:xml"]
    assert "/rd:true" in asked


def test_near_miss_an_event_that_is_too_old_is_never_asked_for() -> None:
    for log in tables.table("events.toml")["log"]:
        assert "timediff(@SystemTime) <= 120000]" in events.arguments(log, 2)[2]


@pytest.mark.parametrize("number", [3034, 3076, 8003])
def test_near_miss_an_event_of_an_audit_is_never_asked_for(number: int) -> None:
    for log in tables.table("events.toml")["log"]:
        assert f"EventID={number}" not in events.arguments(log, 10)[2]


@pytest.mark.skipif(sys.platform == "win32", reason="there are logs here")
def test_off_windows_there_are_no_events() -> None:
    assert events.read(["a.pyd"], 10) is None


def test_events_that_name_one_of_the_files_are_found(wevtutil: list[str]) -> None:
    text = (SAMPLES / "smart-app-control.xml").read_text("utf-8")
    answers(wevtutil, CodeIntegrity=text, Application="", Defender="", AppLocker="")
    found = events.ask(wevtutil, ["_SPECFUN.cp314-win_amd64.pyd"], 10)
    assert ([event.id for event in found.found], found.unread) == ([3077, 3033], ())


def test_events_of_other_files_are_left_out(wevtutil: list[str]) -> None:
    text = (SAMPLES / "smart-app-control.xml").read_text("utf-8")
    answers(wevtutil, CodeIntegrity=text, Application="", Defender="", AppLocker="")
    assert events.ask(wevtutil, ["specfun.cp314-win_amd64.pyd", "_specfun.cp314"], 10).found == ()


def test_a_crash_of_python_is_found_whatever_module_it_names(wevtutil: list[str]) -> None:
    answers(wevtutil, Application=(SAMPLES / "application-error.xml").read_text("utf-8"))
    assert [event.id for event in events.ask(wevtutil, ["a.pyd"], 10).found] == [1000]


def test_a_log_that_may_not_be_read_is_told(wevtutil: list[str]) -> None:
    answers(wevtutil, Application="", CodeIntegrity="", Defender="")
    assert events.ask(wevtutil, ["a.pyd"], 10).unread == (DLL,)


def test_a_log_that_is_not_there_has_no_events(wevtutil: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_NO_SUCH_LOG", 77)  # elsewhere a status has 8 bits
    answers(wevtutil, Application="", CodeIntegrity="", Defender="77", AppLocker="77")
    assert events.ask(wevtutil, ["a.pyd"], 10) == Events()


def test_a_program_that_cannot_be_started_leaves_every_log_unread(tmp_path: Path) -> None:
    found = events.ask([str(tmp_path / "gone.exe")], ["a.pyd"], 10)
    assert len(found.unread) == len(tables.table("events.toml")["log"])


# ---- how it is read ----------------------------------------------------------------------------------------------


def test_an_event_has_its_log_its_number_and_its_time() -> None:
    event = sample("smart-app-control")[0]
    assert (event.log, event.provider) == (
        "Microsoft-Windows-CodeIntegrity/Operational",
        "Microsoft-Windows-CodeIntegrity",
    )
    assert (event.id, event.time) == (3077, "2026-03-02T10:15:04.1234567Z")


def test_a_field_is_found_in_either_spelling() -> None:
    event = sample("smart-app-control")[0]
    assert event.field("PolicyName") == event.field("Policy Name") == "VerifiedAndReputableDesktop"
    assert event.field("No Such Field") == ""


def test_fields_below_a_structure_of_their_own_are_read() -> None:
    assert sample("applocker")[0].field("FilePath") == r"%OSDRIVE%\SITE\DEMO\_DEMO.CP311-WIN_AMD64.PYD"


def test_an_event_whose_fields_have_no_names_keeps_their_order() -> None:
    named, unnamed = sample("application-error")[0], sample("application-error-unnamed")[0]
    assert [value for _, value in named.data] == [value for _, value in unnamed.data]


@pytest.mark.parametrize("text", ["", "Access is denied.", "<Event", "<Event><a></Event>", "<Event>&x;</Event>"])
def test_what_is_no_event_is_passed_over(text: str) -> None:
    assert list(events.parse(text)) == []


def test_an_event_that_is_cut_off_does_not_hide_the_one_before() -> None:
    text = (SAMPLES / "smart-app-control.xml").read_text("utf-8")
    assert [event.id for event in events.parse(text[:-10])] == [3077]


def test_an_event_without_its_usual_parts_is_an_empty_one() -> None:
    assert list(events.parse("<Event><System/><EventData/></Event>")) == [Event("", "", 0, "", ())]


# ---- which file it is about --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (r"C:\site\a.pyd", r"c:\SITE\A.pyd"),
        (r"\Device\HarddiskVolume3\site\a.pyd", r"C:\site\a.pyd"),
        (r"\\?\C:\site\a.pyd", r"C:\site\a.pyd"),
        (r"C:\site\a.pyd", r"\\?\C:\site\a.pyd"),
        (r"%OSDRIVE%\SITE\A.PYD", r"C:\site\a.pyd"),
        (r"%PROGRAMFILES%\DEMO\A.DLL", r"C:\Program Files\demo\a.dll"),
        (r"file:_C:\site\a.pyd; process:_pid:12", r"C:\site\a.pyd"),
        (r"file:_C:\x\b.dll; file:_C:\site\a.pyd", r"C:\site\a.pyd"),
        (r"C:\größe\日本\a.pyd", r"C:\größe\日本\a.pyd"),
    ],
)
def test_an_event_is_about_the_file_whose_path_it_tells(written: str, path: str) -> None:
    assert one(written).is_about(path)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (r"C:\other\a.pyd", r"C:\site\a.pyd"),
        (r"\Device\HarddiskVolume3\other\a.pyd", r"C:\site\a.pyd"),
        (r"%OSDRIVE%\A.PYD", r"C:\site\a.pyd"),
        (r"%PROGRAMFILES%\OTHER\A.DLL", r"C:\Program Files\demo\a.dll"),
        (r"C:\site\a.pyd.tmp", r"C:\site\a.pyd"),
        ("a.pyd", r"C:\site\a.pyd"),
    ],
)
def test_near_miss_an_event_of_another_file_of_that_name_is_not_about_it(written: str, path: str) -> None:
    assert not one(written).is_about(path)


def test_the_events_of_some_numbers_about_a_file() -> None:
    found = Events(tuple(sample("smart-app-control")))
    assert [event.id for event in found.about(SPECFUN, 3033)] == [3033]
    assert [event.id for event in found.about(SPECFUN, 3033, 3077)] == [3077, 3033]
    assert found.about(SPECFUN.replace("special", "general"), 3033, 3077) == []
