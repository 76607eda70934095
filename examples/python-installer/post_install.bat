@rem The post_install script of a construct.yaml, which also takes post_install.py along (extra_files).
@"%PREFIX%\python.exe" "%PREFIX%\post_install.py" "%PREFIX%\post_install.log" "%PREFIX%\Lib\site-packages\product"
@exit /b %ERRORLEVEL%
