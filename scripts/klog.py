# SPDX-License-Identifier: GPL-2.0
"""Finds what is wrong in a kernel's log.

A report is what the kernel prints about one fault. It starts at a line that
names a fault (or at the rule printed before it) and, if a stack dump follows,
ends with it: at the first "---[ end" line, else at the last "</TASK>", before
the next report starts and before the kernel fell silent for two seconds. If
there is neither, the report is that one line.

Whoever causes a fault on purpose announces it with a regular expression. A
report of which one line matches is expected, all of it. An expectation that
nothing matches is a fault as well.
"""
import re

FAULT = re.compile(r"""
      \bWARNING: | \bBUG: | \bBUG\  | \bOops\b | \bCall\ Trace: | \bODEBUG:
    | \bKASAN: | \bKCSAN: | \bUBSAN: | \bKFENCE: | DEBUG_LOCKS_WARN_ON
    | possible\ (circular|recursive|irq)\  | inconsistent\ lock\ state
    | lock\ held\ when\ returning | bad\ unlock\ balance | lock.*\ still\ held
    | suspicious\ RCU\ usage | INFO:\ trying\ to\ register
    | \brcu:\ INFO: | \brcu_\w+\ kthread\ (starved|timer)
    | blocked\ for\ more\ than | (soft|hard)\ (lockup|LOCKUP)
    | workqueue\ lockup | Kernel\ panic | general\ protection
    | unable\ to\ handle | double\ fault | stack-protector: | kernel\ stack
    | scheduling\ while\ atomic | sleeping\ function\ called
    | list_(add|del)\ corruption | refcount_t: | [Bb]ad\ (page|rss)\b
    | unchecked\ MSR | [Ss]purious\ | nobody\ cared | \bNMI\ received
    | \bunexpected | [Mm]achine\ [Cc]heck(?!\ (support|polling))
    | Marking\ (clocksource|TSC)
    | ^popcorn:\ check:
    | ^\s*not\ ok\b
    """, re.X)
# The primary tells of a secondary's end; the secondary's own log has the fault.
HEARSAY = re.compile(r"^popcorn: kernel \d+\b")
# What Linux says of a program, with a stack dump.
REMARK = re.compile(r"^GUP no longer grows the stack in ")
RULE = re.compile(r"^(-+\[ cut here \]-+|=+)$")
DUMP_END = re.compile(r"^---\[ end\b")
STACK_END = re.compile(r"^ *</(TASK|IRQ|NMI)>")
STAMP = re.compile(r"^(?:<\d+>)?\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? ?")
SILENCE = 2.0
REACH = 500


def parse(text):
    """Splits a log into (time, text without stamp) pairs."""
    lines, now = [], 0.0
    for raw in text.replace("\r", "").split("\n"):
        stamp = STAMP.match(raw)
        if stamp:
            now = float(stamp[1])
        lines.append((now, raw[stamp.end():] if stamp else raw))
    return lines


def is_fault(text):
    return bool(FAULT.search(text)) and not HEARSAY.match(text)


def remark_end(lines, start):
    """The index behind a remark with its stack dump, if there is no fault in between."""
    for i in range(start + 1, min(len(lines), start + REACH)):
        text = lines[i][1]
        if STACK_END.match(text):
            return i + 1
        if is_fault(text) and text != "Call Trace:":
            break
    return start + 1


def report_end(lines, start, fault):
    """The index behind the report whose fault stands at lines[fault]."""
    stack_end = fault
    for i in range(fault + 1, min(len(lines), start + REACH)):
        now, text = lines[i]
        if RULE.match(text) and i > fault + 1 and is_fault_ahead(lines, i):
            break
        if now - lines[i - 1][0] > SILENCE:
            break
        if DUMP_END.match(text):
            return i + 1
        if STACK_END.match(text):
            stack_end = i
    return stack_end + 1


def is_fault_ahead(lines, rule):
    """A rule starts a report only if a fault is named right after it."""
    return any(is_fault(text) for _, text in lines[rule + 1:rule + 3])


def reports(text):
    """The faults of a log, each as the list of its lines."""
    lines = parse(text)
    found, i = [], 0
    while i < len(lines):
        start = i
        if REMARK.match(lines[i][1]):
            i = remark_end(lines, i)
            continue
        if RULE.match(lines[i][1]) and is_fault_ahead(lines, i):
            i += 1 if is_fault(lines[i + 1][1]) else 2
        if not is_fault(lines[i][1]):
            i = start + 1
            continue
        end = report_end(lines, start, i)
        found.append([line for _, line in lines[start:end]])
        i = end
    return found


def judge(logs, expectations):
    """Compares the logs of the kernels with what was announced.

    logs: list of (name, kid, text), expectations: list of (kid, regex).
    Returns the complaints as a list of (headline, lines).
    """
    complaints, met = [], set()
    for name, kid, text in logs:
        announced = [e for e in expectations if e[0] == kid]
        for _, line in parse(text):
            met.update(e for e in announced if re.search(e[1], line))
        for report in reports(text):
            if not any(re.search(regex, line) for _, regex in announced
                       for line in report):
                complaints.append((f"{name}:", report))
    for kid, regex in expectations:
        if (kid, regex) not in met:
            complaints.append((f"kernel {kid}: expected but not logged: {regex}",
                               []))
    return complaints
