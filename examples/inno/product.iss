; The installer of a small product that asks before it installs whether this machine can load it.
; Inno Setup 6.4 or later. Compile it with the product and depwalk-check-x64.exe beside it: iscc product.iss

[Setup]
AppName=Example Product
AppVersion=1.0
DefaultDirName={autopf}\Example Product
OutputBaseFilename=example-product-setup
; No rights of an administrator are needed, nor does the check need them.
PrivilegesRequired=lowest
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
; A log is written into %TEMP%; /LOG="PATH" names another.
SetupLogging=yes

[Files]
; First, so that nothing has to be unpacked before it.
Source: "depwalk-check-x64.exe"; Flags: dontcopy
Source: "product\engine.dll"; DestDir: "{app}"
Source: "product\vectors.dll"; DestDir: "{app}"

[Code]
const
  Requirements = '--require-cpu v3';
  RuntimePage = 'https://aka.ms/vc14/vc_redist.x64.exe';

{ What stands behind "PATH: " in the first line of what the check prints. }
function Sentence(const Lines: TArrayOfString): String;
var
  Start: Integer;
begin
  Result := '';
  if GetArrayLength(Lines) > 0 then
  begin
    Start := Pos(': ', Lines[0]);
    Result := Lines[0];
    if Start > 0 then
      Delete(Result, 1, Start + 1);
  end;
end;

{ An empty answer lets the installation begin. Another one is shown and logged, and Setup ends with the exit code 7. }
function PrepareToInstall(var NeedsRestart: Boolean): String;
var
  Code, Ignored: Integer;
  Output: TExecOutput;
begin
  Result := '';
  ExtractTemporaryFile('depwalk-check-x64.exe');
  ExtractTemporaryFile('engine.dll');
  ExtractTemporaryFile('vectors.dll');
  try
    if not ExecAndCaptureOutput(ExpandConstant('{tmp}\depwalk-check-x64.exe'),
      Requirements + ExpandConstant(' "{tmp}\engine.dll"'), '', SW_SHOWNORMAL, ewWaitUntilTerminated, Code, Output) then
      Code := 3;
  except
    Log(GetExceptionMessage);
    Code := 3;
  end;
  Log('depwalk-check: exit code ' + IntToStr(Code));
  { 0: it loads; 3: it could not be tried, and below 0 it was ended from outside, which is no reason to refuse }
  if (Code = 0) or (Code = 3) or (Code < 0) then
    Exit;
  Result := Sentence(Output.StdOut);
  if Result = '' then
    Result := 'The product does not load on this computer (depwalk-check: exit code ' + IntToStr(Code) + ').';
  { 10: missing-msvc-runtime, 11: msvc-runtime-too-old }
  if (Code = 10) or (Code = 11) then
    if SuppressibleMsgBox(Result + #13#10#13#10 + 'Download the Visual C++ runtime now?', mbConfirmation, MB_YESNO,
      IDNO) = IDYES then
      ShellExec('open', RuntimePage, '', '', SW_SHOWNORMAL, ewNoWait, Ignored);
end;
