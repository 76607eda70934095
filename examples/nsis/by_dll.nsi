; The same question asked of a DLL by the System plug-in: for scripts that have one open already, or want the parts of the
; answer. The DLL must be of the installer's architecture; depwalk-check-x64.exe, which does the load, lies beside it.

!ifndef PRODUCT
  !define PRODUCT "product"
!endif
!ifndef TOOLS
  !define TOOLS "."
!endif
!ifndef OUTPUT
  !define OUTPUT "by-dll.exe"
!endif

Unicode true
Target amd64-unicode
Name "Example Product"
OutFile "${OUTPUT}"
RequestExecutionLevel user

!include LogicLib.nsh

Function .onInit
  InitPluginsDir
  SetOutPath "$PLUGINSDIR\check"
  File "${TOOLS}\depwalk-x64.dll"
  File "${TOOLS}\depwalk-check-x64.exe"
  File "${PRODUCT}\*.dll"
  SetOutPath "$TEMP"

  ; $0: a code of the table of exit codes, $1: the sentence
  System::Call '$PLUGINSDIR\check\depwalk-x64.dll::dw_check_text(w "$PLUGINSDIR\check\engine.dll", p 0, i 0, w .r1, \
    i ${NSIS_MAX_STRLEN}) i .r0 ? u'
  System::Call '$PLUGINSDIR\check\depwalk-x64.dll::dw_cpu_level() i .r2 ? u'
  ${If} $0 = 0
  ${AndIf} $2 < 3
    StrCpy $0 16
    StrCpy $1 "The product needs a processor of the level x86-64-v3, and this one offers $2."
  ${EndIf}
  ${If} $0 <> 0
  ${AndIf} $0 <> 3
    MessageBox MB_OK|MB_ICONSTOP "$1" /SD IDOK
    SetErrorLevel $0
    Quit
  ${EndIf}
FunctionEnd

Section ; what the product needs, as in product.nsi
SectionEnd
