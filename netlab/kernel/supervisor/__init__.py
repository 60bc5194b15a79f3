"""What looks after a lab's processes: a small server of its own, and how it is asked.

One for each lab that has processes. It starts them, so that their exit codes reach it; starts them
again as they wish; keeps their logs within bounds. What it knows stands in files beside their logs:
when it is killed the processes go on, and the next one finds them there.

    <state>/<lab>/supervisor.sock                  requests and answers, JSON lines
    <state>/<lab>/supervisor.lock                  held from before its start until its end
    <state>/<lab>/processes/<node>/<name>.json     see ``netlab.kernel.supervisor.record``
    <state>/<lab>/processes/<node>/<name>.log      what it says; a hole where it began
    <state>/<lab>/processes/<node>/<name>.times    how long the log was when
"""
