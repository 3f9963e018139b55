"""A Slurm cluster of one machine, with accounting, on loopback: started for the tests and stopped after them.

    python -m tests.slurm.cluster up DIR      # then: . DIR/env.sh
    python -m tests.slurm.cluster down DIR

All files are under DIR, which must have a short path (sockets) and is removed at the end: munge's key and socket, the
data base behind the accounting, state and logs. Two cores pose as eight, and two links to /dev/null as two GPUs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PACKAGES = "slurm-wlm munge slurmdbd mariadb-server-core mariadb-client-core"
NEEDED = """
    munged slurmctld slurmd slurmdbd sbatch srun squeue sacct scontrol mariadbd mariadb-install-db my_print_defaults
""".split()  # noqa: SIM905
CPUS, GPUS = 8, 2
# How long a requeued job waits is the life of a credential; it must stay well above KILL_WAIT_S, or nodes are drained.
CRED_EXPIRE_S, KILL_WAIT_S = 8, 2

SLURM_CONF = """\
ClusterName=ci
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={slurmd_port}
{bind}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={munge},cred_expire={cred_expire}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/pid/slurmctld
SlurmdPidFile={folder}/pid/slurmd
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
JobAcctGatherFrequency=0
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
JobRequeue=1
ReturnToService=2
EnforcePartLimits=ALL
KillWait={kill_wait}
MinJobAge=3600
MaxArraySize=6
FirstJobId={first_job}
InactiveLimit=0
MailProg=/bin/true
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={munge}
AccountingStorageTRES=gres/gpu
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={cpus} Boards=1 SocketsPerBoard=1 \
CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=60 DefaultTime=5 State=UP OverSubscribe=NO
"""

DBD_CONF = """\
AuthType=auth/munge
AuthInfo={munge}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd_port}
{bind}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/pid/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct
"""


class NoClusterError(RuntimeError):
    """A cluster cannot be started on this machine."""


def missing() -> str | None:
    """Return why no cluster can be started; None if one can."""
    if os.geteuid() != 0:
        return "starting Slurm's daemons needs root"
    if lacking := [name for name in NEEDED if shutil.which(name, path=_path()) is None]:
        return f"{', '.join(lacking)} not installed (apt-get install {PACKAGES})"
    return None


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Cluster:
    """A cluster on one machine, with all its files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.munge = self.folder / "munge" / "socket"
        self.children: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "MUNGE_SOCKET": str(self.munge),
            "PATH": _path(),
        }

    def up(self) -> None:
        """Start the daemons, from the bottom layer up, and wait until a job runs.

        Raises:
            NoClusterError: with the last lines of the logs.
        """
        if why := missing():
            raise NoClusterError(why)
        for name in ("log", "pid", "state", "spool", "munge", "dev"):
            (self.folder / name).mkdir(parents=True, mode=0o755)
        (self.folder / "munge").chmod(0o711)
        self._configure()
        self._start_munge()
        self._start_accounting()
        self._daemon("slurmctld")
        self._wait("slurmctld", lambda: "is UP" in self._said("scontrol", "ping"))
        self._daemon("slurmd", "-N", "localhost")
        self._wait("the node", lambda: "idle" in self._said("sinfo", "-h", "-o", "%T"))
        self._wait("a job", lambda: self._call("srun", "-t", "1", "true") == 0)

    def _configure(self) -> None:
        for number in range(GPUS):  # slurmd requires character devices
            (self.folder / "dev" / f"nvidia{number}").symlink_to("/dev/null")
        ports = _free_ports(4)
        facts = {
            "folder": self.folder,
            "munge": self.munge,
            "host": socket.gethostname().split(".")[0],
            "bind": "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny" if _own_name_is_loopback() else "",
            "cpus": CPUS,
            "gpus": GPUS,
            "cred_expire": CRED_EXPIRE_S,
            "kill_wait": KILL_WAIT_S,
            "first_job": 1_000_000 + int(time.time()) % 60_000_000,  # a later cluster gives no id a second time
            **dict(zip(("port", "slurmd_port", "dbd_port", "node_port"), ports, strict=True)),
        }
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**facts))
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/dev/nvidia[0-{GPUS - 1}]\n")
        (self.folder / "slurmdbd.conf").write_text(DBD_CONF.format(**facts))
        (self.folder / "slurmdbd.conf").chmod(0o600)
        lines = [f"export {name}='{value}'\n" for name, value in self.environment.items()]
        (self.folder / "env.sh").write_text("".join(lines))

    def _start_munge(self) -> None:
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        log, pid, seed = (self.folder / place for place in ("log/munged.log", "pid/munged", "munge/seed"))
        files = [f"--key-file={key}", f"--pid-file={pid}", f"--seed-file={seed}", f"--log-file={log}"]
        self._daemon("munged", "--force", f"--socket={self.munge}", *files)
        self._wait("munged", lambda: self._call("munge", "-S", str(self.munge), "-n") == 0)

    def _start_accounting(self) -> None:
        data, base = self.folder / "db", self.folder / "db.sock"
        install = ["--no-defaults", "--user=root", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        small = ["--innodb-log-file-size=8M", "--innodb-data-file-path=ibdata1:4M:autoextend"]
        if self._call("mariadb-install-db", *install, "--skip-test-db", *small):
            raise NoClusterError(f"mariadb-install-db failed:\n{self._logs()}")
        first = self.folder / "first.sql"
        first.write_text("CREATE DATABASE IF NOT EXISTS slurm_acct;\n")
        serve = ["--no-defaults", "--user=root", f"--datadir={data}", f"--socket={base}", "--skip-networking"]
        more = ["--innodb-buffer-pool-size=32M", "--innodb-lock-wait-timeout=900", "--performance-schema=OFF"]
        files = [f"--init-file={first}", f"--pid-file={self.folder}/pid/mariadbd"]
        self._daemon("mariadbd", *serve, *small[:1], *more, *files, waits=False)
        self._wait("mariadbd", base.exists)
        self._daemon("slurmdbd", MYSQL_UNIX_PORT=str(base))
        self._wait("slurmdbd", lambda: self._call("sacctmgr", "-n", "show", "cluster") == 0)
        self._call("sacctmgr", "-i", "-Q", "add", "cluster", "ci")

    def down(self) -> None:
        """Cancel all jobs, stop the daemons of this cluster, the upper layers first, and remove the folder."""
        if (self.folder / "pid" / "slurmctld").exists():
            self._call("scancel", "--full", "--signal=KILL", "--state=RUNNING")
            self._call("scancel", "--user=root")
            _poll(lambda: not self._said("squeue", "-h"), 5)
        for name in ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged"):
            self._stop(name)
        for process in self.children:
            process.wait(timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self, name: str) -> None:
        try:
            pid = int((self.folder / "pid" / name).read_text())
        except (FileNotFoundError, ValueError):
            return
        if _command(pid) != name:
            return
        os.kill(pid, signal.SIGTERM)
        if not _poll(lambda: _command(pid) != name, 15):
            os.kill(pid, signal.SIGKILL)

    def _daemon(self, *words: str, waits: bool = True, **more: str) -> None:
        """Start a daemon; all but the database fork to the background."""
        with open(self.folder / "log" / f"{words[0]}.out", "ab") as out:
            process = subprocess.Popen(
                words,
                env=os.environ | self.environment | more,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if not waits:
            self.children.append(process)
        elif process.wait(timeout=60):
            raise NoClusterError(f"{words[0]} does not start:\n{self._logs()}")

    def _run(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.environment
        try:
            return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, 124, "", "no answer in 60 s")

    def _call(self, *words: str) -> int:
        return self._run(words).returncode

    def _said(self, *words: str) -> str:
        return self._run(words).stdout

    def _wait(self, what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        if not _poll(ready, seconds):
            raise NoClusterError(f"{what} did not come up in {seconds:.0f} s:\n{self._logs()}")

    def _logs(self) -> str:
        parts = []
        for path in sorted((self.folder / "log").iterdir()):
            tail = path.read_text(errors="replace").splitlines()[-10:]
            parts.append(f"== {path.name}\n" + "\n".join(tail))
        return "\n".join(parts)


def _poll(ready: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _command(pid: int) -> str:
    """Return the name of a process; empty if it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state = stat.rpartition(")")[2].split()[0]
    return "" if state in "ZX" else stat[stat.index("(") + 1 : stat.rindex(")")]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _own_name_is_loopback() -> bool:
    """Whether daemons that listen at this host's own name listen on loopback only."""
    try:
        return socket.gethostbyname(socket.gethostname()).startswith("127.")
    except OSError:
        return False


if __name__ == "__main__":
    action, where = sys.argv[1:]
    cluster = Cluster(Path(where))
    cluster.up() if action == "up" else cluster.down()
