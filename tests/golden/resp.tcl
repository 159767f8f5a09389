# A client of both protocols over a raw socket. A reply is a pair {type value}: the type is the protocol's own character, nothing is
# interpreted. Aggregates hold a list of such pairs, maps with keys and values in turn; `nil` stands for $-1, *-1 and _.

proc resp_connect {port version} {
    set s [socket 127.0.0.1 $port]
    fconfigure $s -translation binary -buffering full -blocking 1
    if {$version == 3} {
        resp_send $s {HELLO 3}
        resp_read $s
    }
    return $s
}

proc resp_pack {words} {
    set out "*[llength $words]\r\n"
    foreach w $words {append out "\$[string length $w]\r\n$w\r\n"}
    return $out
}

proc resp_send {s words} {
    puts -nonewline $s [resp_pack $words]
    flush $s
}

proc resp_line {s} {
    if {[gets $s line] < 0} {error "the server closed the connection"}
    return [string range $line 0 end-1]
}

proc resp_bytes {s n} {
    set b [read $s $n]
    read $s 2
    return $b
}

proc resp_read {s} {
    set line [resp_line $s]
    set type [string index $line 0]
    set rest [string range $line 1 end]
    switch -- $type {
        "$" - "=" - "!" {
            if {$rest == -1} {return [list nil $type]}
            return [list $type [resp_bytes $s $rest]]
        }
        "*" - "~" - ">" {
            if {$rest == -1} {return [list nil $type]}
            return [list $type [resp_several $s $rest]]
        }
        "%" - "|" {return [list $type [resp_several $s [expr {2 * $rest}]]]}
        "_" {return [list nil _]}
        default {return [list $type $rest]}
    }
}

proc resp_several {s n} {
    set out {}
    for {set i 0} {$i < $n} {incr i} {lappend out [resp_read $s]}
    return $out
}

proc resp_ask {s words} {
    resp_send $s $words
    return [resp_read $s]
}

# Sends packed commands; of their replies only the errors are looked at. An ECHO marks the end.
proc resp_skim {s text} {
    puts -nonewline $s $text[resp_pack {ECHO end-of-many}]
    flush $s
    set errors {}
    while {[set line [resp_line $s]] ne "end-of-many"} {
        if {[string index $line 0] eq "-"} {lappend errors $line}
    }
    return $errors
}

# What the contract says that RESP2 sends in place of a RESP3 reply.
proc resp_as_2 {r} {
    lassign $r type value
    switch -- $type {
        nil {return {nil -}}
        "#" {return [list ":" [expr {$value eq "t"}]]}
        "," {return [list "$" $value]}
        "=" {return [list "$" [string range $value 4 end]]}
        "*" - "~" - ">" - "%" {
            set all {}
            foreach e $value {lappend all [resp_as_2 $e]}
            return [list "*" $all]
        }
        default {return $r}
    }
}

# The value of one field of a map, of either protocol.
proc resp_field {r name} {
    foreach {k v} [lindex $r 1] {
        if {[lindex $k 1] eq $name} {return [expr {[lindex $v 0] eq "nil" ? "nil" : [lindex $v 1]}]}
    }
    error "no field $name in $r"
}
