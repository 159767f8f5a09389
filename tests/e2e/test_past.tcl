# varve log, show and diff over a store that a server wrote and was stopped, or killed.
source [file join [file dirname [info script]] bed.tcl]
set tool [file join [file dirname $server] varve]

# What the tool prints; its exit status goes into ::status.
proc varve {args} {
    global tool status
    set status 0
    if {[catch {exec -keepnewline $tool {*}$args 2>@1} out options]} {
        set code [dict get $options -errorcode]
        if {[lindex $code 0] eq "CHILDSTATUS"} {
            set status [lindex $code 2]
            regsub {child process exited abnormally\n?$} $out {} out
        }
    }
    return $out
}

start $server --dir $root/data
set first [lindex [ask DPUT user:7 {{"plan":"free","tags":[],"big":9007199254740993}} NOTE "signed up"] 0]
ask DPUT user:8 {"x"}
ask DLINK user:7 owns user:8
set cause [lindex [ask DPUT batch:1 {{"n":1}}] 0]
ask SET text "a\nb\nc\nd\n"
ask SET binary "\x01\x02"
set before [lindex [ask DPUT user:7 {{"plan":"pro","tags":["x"],"big":9007199254740993}} CAUSEDBY 1 seq:$cause NOTE "upgrade\nby phone"] 0]
exec redis-cli -p $port << "MULTI\nSET text \"a\\nB\\nc\\nd\\ne\\n\"\nSET binary \"\\x01\\x03\"\nDDEL user:8\nEXEC\n"
set head [ask --raw DINFO]
ask -n 3 SET other 1
finish KILL

# log
set out [varve log $root/data]
expect {$status == 0 && [regexp -all -line {^commit } $out] == 9} "log lists every commit" $out
expect {[string first "commit 8-10 " $out] >= 0} "a transaction is one commit" $out
expect {[regexp {commit 11 .*commit 8-10 .*commit 1 } $out]} "newest first" $out
expect {[regexp "Cause:  seq $cause \[0-9a-f\]{64}\n" $out]} "causes are shown" $out
expect {[string first "\n    upgrade\n    by phone\n" $out] >= 0} "notes are shown, line by line" $out
expect {[string first "user:7 -owns-> user:8" $out] >= 0} "links are shown" $out
set out [varve log $root/data --oneline]
expect {[llength [split [string trim $out] \n]] == 11} "--oneline: a line a node" $out
expect {[regexp {^11 [0-9a-f]{8} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z put    other v1\n10 } $out]} "such a line" $out
set out [varve log $root/data --oneline --reverse -n 2]
expect {[regexp {^1 .*\n2 .*\n$} $out]} "--reverse -n" $out
set out [varve log $root/data user:7 --oneline]
expect {[regexp -all -line {^\d} $out] == 3 && [string first "v2  upgrade" $out] >= 0} "log of a key: its versions and links" $out
expect {[varve log $root/data -1 --oneline user:7] eq [varve log $root/data --max-count 1 --oneline user:7]} "-N is -n N"
expect {[regexp -all -line {^\d} [varve log $root/data --prefix user: --oneline]] == 5} "--prefix"
expect {[varve log $root/data --since seq:10 --oneline] eq [varve log $root/data -1 --oneline]} "--since"
expect {[string first "\n" [varve log $root/data --until 1 --oneline]] == [string length [varve log $root/data --until 1 --oneline]] - 1} "--until"
expect {[regexp -all -line {^\d} [varve log $root/data --grep phone --oneline]] == 1} "--grep"
expect {[varve log $root/data other --oneline] eq "" && $status == 0} "keys of another database are not meant"
expect {[string match "11 *" [varve log $root/data --db 3 other --oneline]]} "--db"
expect {[varve log $root/data --by nobody] eq ""} "--by"

# show
set out [varve show $root/data seq:$before]
expect {$status == 0 && [string first "\n-  \"plan\": \"free\",\n-  \"tags\": \[\],\n+  \"plan\": \"pro\",\n" $out] >= 0} "show: what a commit changed" $out
expect {[string first "--- point 6: document, seq $first, v1" $out] >= 0} "show: against what was before" $out
set out [varve show $root/data 9]
expect {[string first "commit 8-10 " $out] == 0} "show: a seq inside a commit means that commit" $out
expect {[string first "@@ -1,4 +1,5 @@\n a\n-b\n+B\n c\n d\n+e\n" $out] >= 0} "show: strings by their lines" $out
expect {[string first "binary values differ" $out] >= 0} "show: bytes that are no text" $out
expect {[regexp {diff user:8\n--- .*\n\+\+\+ point 10: nothing\n@@ -1,1 \+0,0 @@\n-"x"\n} $out]} "show: what went" $out
expect {[string first "commit 11 " [varve show $root/data]] == 0} "show: the newest"
expect {[varve show $root/data head text] eq "a\nB\nc\nd\ne\n"} "show: a value"
expect {[varve show $root/data seq:$before user:7] eq {{"plan":"pro","tags":["x"],"big":9007199254740993}}} "show: exactly the bytes"
expect {[varve show $root/data --pretty $first user:7] eq "{\n  \"plan\": \"free\",\n  \"tags\": \[\],\n  \"big\": 9007199254740993\n}\n"} "show --pretty"
varve show $root/data head user:8
expect {$status == 1} "show: a key that is not there"

# diff
set out [varve diff $root/data $first]
expect {$status == 0 && [regexp -all -line {^diff } $out] == 4} "diff: every key that differs" $out
expect {[regexp {diff batch:1.*diff binary.*diff text.*diff user:7} $out]} "diff: in the order of the keys" $out
expect {[varve diff $root/data $first --name-status] eq "A\tbatch:1\nA\tbinary\nA\ttext\nM\tuser:7\n"} "--name-status"
expect {[varve diff $root/data $before --name-status] eq "M\tbinary\nM\ttext\nD\tuser:8\n"} "--name-status of what went"
expect {[varve diff $root/data $before head --name-only -- text user:7] eq "text\n"} "diff of some keys"
expect {[varve diff $root/data 2 $before --name-only --prefix user] eq "user:7\n"} "diff --prefix"
expect {[varve diff $root/data 0 --name-only --db 3] eq "other\n"} "diff --db"
expect {[varve diff $root/data head] eq "" && $status == 0} "nothing differs"
varve diff $root/data --quiet $first
expect {$status == 1} "--quiet tells"
varve diff $root/data --quiet head
expect {$status == 0} "--quiet tells nothing else"
varve diff $root/data $before $first
expect {$status == 2} "points the other way round are refused"

# A flush: every key differs.
start $server --dir $root/data
set head [lindex [ask DPUT last {1}] 0]
ask FLUSHALL
set flush [expr {$head + 1}]
finish TERM
expect {[varve diff $root/data $head --name-status] eq "D\tbatch:1\nD\tbinary\nD\tlast\nD\ttext\nD\tuser:7\n"} "a flush is a difference of every key"
expect {[string first "flush  every database" [varve log $root/data -1]] >= 0} "log shows a flush"

# Line differences are as small as diff's.
start $server --dir $root/data
set seed [expr {int(rand() * 1000000)}]
expr {srand($seed)}
set pairs {}
for {set i 0} {$i < 60} {incr i} {
    set text {}
    for {set side 0} {$side < 2} {incr side} {
        set lines {}
        for {set n [expr {int(rand() * 25)}]} {$n > 0} {incr n -1} { lappend lines [lindex {a b c d} [expr {int(rand() * 4)}]] }
        lappend text [join [concat $lines {{}}] \n]
        ask SET key:$i [lindex $text end]
    }
    lappend pairs $text
}
set end [lindex [ask DPUT end 1] 0]
finish TERM
for {set i 0} {$i < 60} {incr i} {
    set at [expr {$end - 120 + 2 * $i}]
    lassign [lindex $pairs $i] a b
    foreach {name text} [list a $a b $b] { set f [open $root/$name w]; puts -nonewline $f $text; close $f }
    catch {exec diff -d $root/a $root/b} theirs
    set ours [varve diff $root/data $at [expr {$at + 1}] key:$i]
    set marks [regexp -all -line {^[-+]([abcd]?)$} $ours]
    expect {$marks == [regexp -all -line {^[<>]} $theirs]} "as few changed lines as diff finds (seed $seed)" "$ours\n$theirs"
}

# Errors say what is wrong.
foreach {words text} {
    {log} "which store" {log DATA --bogus} "'--bogus'" {log DATA -n} "lacks its value" {log DATA -n x} "'x' is no value" {log DATA --since never} "a point is"
    {log DATA --since seq:999999} "does not reach" {show DATA tag:none} "no such tag" {show DATA hash:12} "8 to 64 hex digits" {show DATA hash:0000000000} "no node has"
    {diff DATA} "from which point" {diff DATA 1 --db 5000} "no database's number" {log /nowhere} "is not a Varve data directory"
} {
    set out [varve {*}[string map [list DATA $root/data] $words]]
    expect {$status == 2 && [string first $text $out] >= 0} "varve $words" $out
}
file mkdir $root/empty
foreach command {log show {diff 1}} {
    set out [varve [lindex $command 0] $root/empty {*}[lrange $command 1 end]]
    expect {$status == 2 && [glob -nocomplain $root/empty/*] eq ""} "varve $command leaves nothing in a directory that is no store" $out
}
start $server --dir $root/data
set out [varve log $root/data]
expect {$status == 2 && [string first "a server has" $out] >= 0} "a running server's store is left alone" $out
# The same by another way to it, on which nothing can be written. Needs root.
file mkdir $root/view
if {![catch {exec mount --bind $root/data $root/view; exec mount -o remount,bind,ro $root/view}]} {
    foreach command {log verify inspect} {
        set out [varve $command $root/view]
        expect {$status == 2 && [regexp {a server has|another process} $out]} "varve $command over a read-only mount sees who writes elsewhere" $out
    }
    finish TERM
    foreach command {log show verify inspect} {
        set out [varve $command $root/view]
        expect {$status == 0 && $out ne ""} "varve $command needs no writing" $out
    }
    exec umount $root/view
} else {
    finish TERM
}

done past
