# A family as a loadable module: a server that was linked without strings gets them by MODULE LOAD, with everything they do elsewhere.
source [file join [file dirname [info script]] bed.tcl]
set module $env(VARVE_BUILD)/modules/string.so
start $env(VARVE_BUILD)/tests/server-without-string --dir $root/data --enable-module-command yes

expect [string match "*unknown command*" [ask SET k v]] "there are no strings before"
expect [expr {[ask DPUT d {{}}] ne ""}] "other families are there"
expect [string match "*Error loading*" [ask MODULE LOAD /nonexistent.so]] "a file that is not there is refused"
expect [string match "*Error loading*" [ask MODULE LOAD /lib/x86_64-linux-gnu/libm.so.6]] "a library that is no family is refused"
expect [expr {[ask MODULE LOAD $module] eq "OK"}] "the module loads"
expect [string match "*string*" [ask MODULE LIST]] "MODULE LIST shows it"
expect [expr {[ask SET k v] eq "OK"}] "SET works"
expect [expr {[ask APPEND k w] eq "2"}] "APPEND works"
expect [expr {[ask GET k] eq "vw"}] "GET works"
expect [expr {[ask INCR n] eq "1"}] "INCR works"
expect [string match "*APPEND*" [string toupper [ask COMMAND LIST]]] "COMMAND knows its commands"
expect [expr {[ask DASOF k seq:2] eq "v"}] "its keys have a history"
expect [string match "*rror*" [ask MODULE LOAD $module]] "a second time is refused"
expect [string match "*rror*" [ask MODULE UNLOAD nothing]] "an unknown name is refused"
expect [expr {[ask MODULE UNLOAD string] eq "OK"}] "the module unloads"
expect [string match "*unknown command*" [ask GET k]] "its commands are gone"
expect [expr {[ask MODULE LOAD $module] eq "OK" && [ask GET k] eq "vw"}] "loaded again it finds its data"

done module
