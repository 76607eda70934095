; The installer of a small product that asks before it installs whether this machine can load it.
; Compile it with the product and depwalk-check-x64.exe beside it: makensis product.nsi

!ifndef PRODUCT
  !define PRODUCT "product"
!endif
!ifndef CHECK
  !define CHECK "depwalk-check-x64.exe"
!endif
!ifndef REQUIREMENTS
  !define REQUIREMENTS "--require-cpu v3"
!endif
!ifndef TARGET
  !define TARGET "amd64-unicode"
!endif
!ifndef OUTPUT
  !define OUTPUT "example-product-setup.exe"
!endif

Unicode true
Target ${TARGET}
Name "Example Product"
OutFile "${OUTPUT}"
InstallDir "$LOCALAPPDATA\Programs\Example Product"
RequestExecutionLevel user ; no rights of an administrator are needed, nor does the check need them
ManifestSupportedOS all
ManifestDPIAware true
SetCompressor lzma ; not /SOLID: the check is unpacked without what lies before it

!define FILES "${PRODUCT}\*.dll"
!define FILE "engine.dll"
!include check.nsh

!define UNINSTALL_KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\Example Product"

Page directory
Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

Function .onInit
  Call CheckMachine
FunctionEnd

Section
  SetOutPath "$INSTDIR"
  File "${PRODUCT}\*.dll"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayName" "Example Product"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL_KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoRepair" 1
  ${Note} "installed"
SectionEnd

Section "Uninstall"
  Delete "$INSTDIR\engine.dll"
  Delete "$INSTDIR\vectors.dll"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKCU "${UNINSTALL_KEY}"
SectionEnd
