# COMMAND INFO and GETKEYSANDFLAGS of every command that both servers have: as redis-server says them.
source [file join [file dirname [info script]] bed.tcl]
# A reply as plain lists.
proc plain {reply} {
    lassign $reply kind value
    if {$kind ne "*"} { return $value }
    set out {}
    foreach v $value { lappend out [plain $v] }
    return $out
}
# Notes are prose; the rest of a key spec is not.
proc without_notes {specs} {
    set out {}
    foreach s $specs {
        set kept {}
        foreach {name value} $s { if {$name ne "notes"} { lappend kept $name $value } }
        lappend out $kept
    }
    return $out
}
set fields {name arity flags first last step categories tips keys}
proc compare {ours theirs} {
    global fields
    for {set i 1} {$i < 9} {incr i} {
        set a [lindex $ours $i]
        set b [lindex $theirs $i]
        set name [lindex $ours 0]
        if {$i in {2 6 7}} { set a [lsort $a]; set b [lsort $b] }
        if {$i == 8} { set a [without_notes $a]; set b [without_notes $b] }
        if {$name eq "client|help" && $i == 2} { set a [lsearch -inline -all -not $a noscript] } ;# its siblings are not for scripts, nor is it here
        expect [expr {$a eq $b}] "$name: [lindex $fields $i] is $a, with redis-server $b"
    }
    foreach sub [lindex $ours 9] { set mine([lindex $sub 0]) $sub }
    foreach sub [lindex $theirs 9] { if {[info exists mine([lindex $sub 0])]} { compare $mine([lindex $sub 0]) $sub } }
}

set varve [start $server --dir $root]
set redis [start redis-server --save {} --dir $root]
foreach c [plain [resp_ask $varve COMMAND]] { set known([lindex $c 0]) $c }
set shared 0
foreach c [plain [resp_ask $redis COMMAND]] {
    if {![info exists known([lindex $c 0])]} continue
    incr shared
    compare $known([lindex $c 0]) $c
}
expect [expr {$shared >= 79}] "only $shared commands are shared"
foreach line {
    {SET a b} {SET a b GET} {SET a b EX 5 get} {GET a} {MSET a 1 b 2} {MSETNX a 1} {DEL a b} {GETSET a b} {SETEX a 1 b} {APPEND a b} {RENAME a b} {COPY a b} {INCR a}
    {SETRANGE a 0 x} {GETEX a} {EXPIRE a 1} {LCS a b} {OBJECT encoding a} {MGET a b c} {TOUCH a} {DUMP a} {RESTORE a 0 x}
} {
    set a [plain [resp_ask $varve [concat COMMAND GETKEYSANDFLAGS $line]]]
    set b [plain [resp_ask $redis [concat COMMAND GETKEYSANDFLAGS $line]]]
    expect [expr {$a eq $b}] "keys of '$line': $a, with redis-server $b"
}
done command_info
