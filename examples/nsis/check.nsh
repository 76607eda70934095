; Asks depwalk-check whether this machine can load the product, before anything is installed.
;
; The script that includes this file defines
;   CHECK         depwalk-check-x64.exe
;   FILES         the product's files that decide, as File takes them; they are unpacked to $PLUGINSDIR and removed again
;   FILE          the one of them that is loaded
;   REQUIREMENTS  options such as --require-cpu v3 --require-vc 14.40, or ""
;   VC_REDIST     if it is defined: vc_redist.x64.exe, which is offered instead of its page
; and calls CheckMachine in .onInit. That returns if the product can be installed. Otherwise it says why in one
; sentence, silently in a silent installation, and ends the installer with the code of the check. It uses $0 and $1.

!include LogicLib.nsh
!include FileFunc.nsh
!include WordFunc.nsh

!define VC_REDIST_PAGE "https://aka.ms/vc14/vc_redist.x64.exe"

Var LogFile
Var Code
Var Sentence

; The log is UTF-16, so that every path can stand in it. /LOG=PATH names it.
Function OpenLog
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/LOG=" $1
  ${If} ${Errors}
    StrCpy $1 "$TEMP\$(^Name)-setup.log"
  ${EndIf}
  FileOpen $LogFile $1 w
  FileWriteUTF16LE /BOM $LogFile "$(^Name)$\r$\n"
FunctionEnd

!macro Note text
  FileWriteUTF16LE $LogFile `${text}$\r$\n`
!macroend
!define Note `!insertmacro Note`

; Runs the check without a window: $Code is its exit code, $Sentence what stands behind "PATH: " in its first line.
Function AskCheck
  nsExec::ExecToStack /MBCS `"$PLUGINSDIR\check\depwalk-check-x64.exe" ${REQUIREMENTS} "$PLUGINSDIR\check\${FILE}"`
  Pop $Code
  Pop $0
  ${Note} "depwalk-check-x64.exe ${REQUIREMENTS} ${FILE}: exit code $Code"
  ${Note} $0
  ${If} $Code == "error" ; it did not start
  ${OrIf} $Code < 0 ; it was ended from outside: in neither case anything is known of the product
    StrCpy $Code 3
  ${EndIf}
  ${WordFind} $0 "$\r$\n" "+1" $Sentence
  StrCpy $1 0
  StrCpy $0 $Sentence 2
  ${DoUntil} $0 == ": "
    IntOp $1 $1 + 1
    StrCpy $0 $Sentence 2 $1
    ${If} $0 == "" ; there is no such thing
      Return
    ${EndIf}
  ${Loop}
  IntOp $1 $1 + 2
  StrCpy $Sentence $Sentence "" $1
FunctionEnd

Function CheckMachine
  Call OpenLog
  InitPluginsDir
  SetOutPath "$PLUGINSDIR\check"
  File "/oname=depwalk-check-x64.exe" "${CHECK}"
  File "${FILES}"
  SetOutPath "$TEMP" ; not the current directory of anything that runs now: such a one cannot be removed
  Call AskCheck
  ${If} $Code = 10 ; missing-msvc-runtime
  ${OrIf} $Code = 11 ; msvc-runtime-too-old
    Call OfferRuntime
  ${EndIf}
  ${If} $Code = 0
  ${OrIf} $Code = 3 ; it could not be tried, which is no reason to refuse
    ${Note} "going on"
    Return
  ${EndIf}
  ${If} $Code <> 10
  ${AndIf} $Code <> 11
    MessageBox MB_OK|MB_ICONSTOP "$(^Name) cannot run on this computer.$\r$\n$\r$\n$Sentence" /SD IDOK
  ${EndIf}
  ${Note} "not installed: $Sentence"
  FileClose $LogFile
  SetErrorLevel $Code
  Quit
FunctionEnd

!ifdef VC_REDIST
Function OfferRuntime
  MessageBox MB_YESNO|MB_ICONEXCLAMATION "$(^Name) cannot run on this computer yet.$\r$\n$\r$\n$Sentence$\r$\n\
    $\r$\nInstall it now?" /SD IDYES IDYES install
  Return
install:
  File "/oname=$PLUGINSDIR\vc_redist.x64.exe" "${VC_REDIST}"
  ExecWait '"$PLUGINSDIR\vc_redist.x64.exe" /install /quiet /norestart' $0
  ${Note} "vc_redist.x64.exe ended with $0"
  Call AskCheck ; what counts is whether the product loads now
FunctionEnd
!else
Function OfferRuntime
  MessageBox MB_YESNO|MB_ICONSTOP "$(^Name) cannot run on this computer yet.$\r$\n$\r$\n$Sentence$\r$\n\
    $\r$\nDownload it now? When it is installed, start this installer again." /SD IDNO IDNO done
  ExecShell "open" "${VC_REDIST_PAGE}"
done:
FunctionEnd
!endif
