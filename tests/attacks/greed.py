"""Attacks on time, memory, processes and disk."""

from __future__ import annotations

from attacks.lab import ALL, Attack, Ground, in_answers, on_solved

DEAF = """
def ignore(*_): pass
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
    signal.signal(number, ignore)
while True: pass
"""
DEAF_ANSWER = """
def box_iou(boxes1, boxes2, fmt="xyxy"):
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True: pass
"""
SLOW_ANSWER = """
def mask_iou(*inputs):
    while True:
        try:
            time.sleep(1)
        except BaseException:
            pass
"""
STOPPED_SNAPSHOTS = """
for status in glob.glob("/proc/[0-9]*/status"):
    text = open(status).read()
    pid, parent = (int(re.search(rf"^{k}:\\s*(\\d+)", text, re.M)[1]) for k in ("Pid", "PPid"))
    if parent == os.getpid():
        os.kill(pid, signal.SIGSTOP)
"""
HOG = """
keep = []
while True:
    keep.append(b"x" * (100 << 20))
"""
VAST = "import torch\nx = torch.ones(50 << 28)\nx = bytearray(50 << 30)"
FORK_BOMB = """
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
THREAD_BOMB = """
threading.stack_size(65536)
while True:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
GIGABYTE = "for _ in range(256):\n    sys.stdout.write('x' * (4 << 20))"
SOCKET_FLOOD = """
kernel = get_ipython().kernel
for _ in range(40):
    kernel.session.send(kernel.iopub_socket, "stream",
                        {"name": "stdout", "text": "y" * (30 << 20)}, parent=kernel.get_parent())
print("z" * (40 << 20))
"""
FULL_TMP = """
for place in ("/tmp", "/dev/shm", "/dev", "/", "/course", "/course/autograde/student/public"):
    try:
        for k in range(200):
            open(f"{place}/full-{k}", "wb").write(b"x" * (8 << 20))
        won(place, "has no bound")
    except OSError:
        pass
"""
FULL_ROOM = """
room = os.environ["AUTOGRADE_" + "ROOM"]
for k in range(60):
    open(f"{room}/full-{k}", "wb").write(b"x" * (8 << 20))
time.sleep(5)
won("the room has no bound")
"""
SPARSE = """
room = os.environ["AUTOGRADE_" + "ROOM"]
for k in range(30):
    with open(f"{room}/sparse-{k}", "wb") as file:
        file.truncate(30 << 20)
os.chdir(room)
for _ in range(900):
    os.mkdir("a"); os.chdir("a")
time.sleep(5)
won("the room has no bound")
"""
MEMFD = """
files = [os.memfd_create("x") for _ in range(400)]
for file in files: os.write(file, b"x" * (16 << 20))
time.sleep(2)
won("memory files have no bound")
"""
OUTLIVING = """
code = "import os, signal, time\\nfor n in range(1, 32):\\n"
code += "    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\\ntime.sleep(900)"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", code, "outliving-@PORT@"])
    os._exit(0)
subprocess.Popen(["setsid", sys.executable, "-c", code, "outliving-@PORT@"],
                 start_new_session=True)
"""
HOGS = """
for _ in range(30):
    if os.fork() == 0:
        for nice in (-20, -10, 0):
            try:
                os.setpriority(os.PRIO_PROCESS, 0, nice)
                nice < 0 and won("a better priority")
                break
            except OSError:
                pass
        while True: pass
"""
CLOCK = """
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    won("the host's clock can be set")
except OSError:
    pass
frozen = time.monotonic()
time.monotonic = time.time = lambda: frozen
signal.setitimer = lambda *a: (0, 0)
signal.alarm = lambda n: 0
"""


def huge_cell(ground: Ground):
    notebook = ground.notebook(True, last=["x = 1"])
    notebook.cells[-1].source = "x = '" + "y" * (4 << 20) + "'"
    return notebook


def many_cells(ground: Ground):
    notebook = ground.notebook(True)
    plain = {"cell_type": "markdown", "metadata": {}, "source": "x"}
    many = [
        type(notebook)(plain, id=f"many-{k}", metadata=type(notebook)()) for k in range(100_000)
    ]
    notebook.cells += many
    return notebook


ATTACKS: tuple[Attack, ...] = (
    on_solved("endless", "Loops without an end.", "while True: pass", slow=True),
    on_solved("deaf", "Loops, deaf to every signal.", DEAF, told=("kernel-died",), slow=True),
    in_answers("deaf-answer", "Loops when it is judged.", box_iou=DEAF_ANSWER, slow=True),
    in_answers("slow-answer", "Catches the end of its time.", mask_iou=SLOW_ANSWER, slow=True),
    on_solved("hog", "Takes memory until there is none.", HOG, told=("kernel-died",)),
    on_solved("vast", "Asks for 50 GB at once.", VAST),
    on_solved("fork-bomb", "Forks without an end.", FORK_BOMB, told=("kernel-died",), slow=True),
    on_solved(
        "thread-bomb",
        "Starts threads without an end.",
        THREAD_BOMB,
        told=("kernel-died",),
        slow=True,
    ),
    on_solved("gigabyte", "Prints a gigabyte.", GIGABYTE, slow=True),
    on_solved("socket-flood", "Sends messages too large to be read.", SOCKET_FLOOD, slow=True),
    on_solved("full-tmp", "Fills every place that can be written.", FULL_TMP),
    on_solved("full-room", "Fills the room.", FULL_ROOM, told=("kernel-died",)),
    on_solved("sparse", "Deep folders and sparse files.", SPARSE, told=("kernel-died",), slow=True),
    on_solved("memfd", "Fills memory that is mapped nowhere.", MEMFD, told=("kernel-died",)),
    on_solved("outliving", "Daemons that are deaf and shall outlive it all.", OUTLIVING),
    on_solved("hogs", "Thirty processes take all the time there is.", HOGS, slow=True),
    on_solved("clock", "Sets and freezes clocks and timers.", CLOCK),
    Attack("huge-cell", "One cell of four megabytes.", huge_cell, ALL),
    Attack("many-cells", "A hundred thousand cells.", many_cells, ALL, slow=True),
)
