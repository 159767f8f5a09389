# What the README tells a newcomer to type, word for word, and what it says the answer is; the same for what it says of proofs and of the tool.
source [file join [file dirname [info script]] bed.tcl]
set tool [file join [file dirname $server] varve]

# Lines `    > command` with the answer's lines behind them; an ellipsis and the digits before it stand for anything.
proc conversation {} {
    set f [open README.md]
    fconfigure $f -encoding utf-8
    set lines [split [read $f] \n]
    close $f
    set steps {}
    set command ""
    foreach line $lines {
        if {[regexp {^    > (.*)$} $line -> next]} {
            if {$command ne ""} { lappend steps $command $answer }
            set command $next
            set answer {}
        } elseif {$command ne "" && [regexp {^    (.*)$} $line -> text]} {
            lappend answer $text
        } elseif {$command ne ""} {
            lappend steps $command $answer
            set command ""
        }
    }
    return $steps
}

start $server --dir $root/data
foreach {command answer} [conversation] {
    set got [exec redis-cli --no-raw -p $port << "$command\n"]
    expect {$got ne "" && ![string match "(error)*" $got]} "README: $command" $got
    if {$answer eq {}} continue
    regsub -all {[0-9a-f]*\u2026} [join $answer \n] * answer
    set pattern [string map [list \[ \\\[ \] \\\] \\ \\\\] $answer]
    expect {[string match $pattern $got]} "README: the answer to $command" $got
}
expect {[llength [conversation]] >= 24} "the README has a conversation"

# "b2sum -l 256 of a node's bytes gives its name"
exec redis-cli -p $port DNODE key:user:7 RAW | head -c -1 > $root/node
expect {[string first [lindex [exec b2sum -l 256 $root/node] 0] [ask DNODE key:user:7]] >= 0} "b2sum of a node gives its name"

# The pipe in the tool's help.
set head [ask DHEAD]
expect {[regexp {root\n([0-9a-f]{64})} $head -> trusted]} "DHEAD tells the root" $head
set broken [catch {exec redis-cli -p $port -3 --json DPROVE INCLUSION key:user:7 | $tool verify-proof --root $trusted} out]
expect {!$broken && [string match "valid: *the trusted root*" $out]} "a proof goes from redis-cli to the tool" $out
finish TERM
expect {[string match "*whole: no fault found" [exec $tool verify $root/data]]} "the store is whole"
foreach command {log show} {
    expect {[exec $tool $command $root/data] ne ""} "varve $command"
}
set out [exec $tool diff $root/data 3 4]
expect {[string first "\"plan\": \"pro\"" $out] >= 0} "varve diff" $out
done readme
