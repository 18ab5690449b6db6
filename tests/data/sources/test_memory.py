"""How much memory is at hand, told by made-up files of a system."""

from __future__ import annotations

from pathlib import Path

from aecore.data.images import memory as room


class TestMemory:
    def system(self, root: Path, groups: str, files: dict[str, str]) -> Path:
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:     8000 kB\n")
        (root / "proc/self/cgroup").write_text(groups)
        for name, text in files.items():
            path = root / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    def test_the_machine(self, tmp_path: Path) -> None:
        system = self.system(tmp_path, "0::/a/b\n", {"a/b/memory.max": "max\n"})
        assert room.available_memory(system) == 8000 * 1024
        assert (room.available_memory() or 1) > 0

    def test_the_limits_of_groups(self, tmp_path: Path) -> None:
        second = {
            "a/memory.max": "5000", "a/memory.current": "3000",
            "a/memory.stat": "anon 1\nactive_file 500\ninactive_file 600\n",
            "a/b/memory.max": "max",
        }  # fmt: skip
        assert room.available_memory(self.system(tmp_path / "v2", "0::/a/b\n", second)) == 3100
        first = {
            "memory/job/memory.limit_in_bytes": "7000", "memory/job/memory.usage_in_bytes": "8000",
            "memory/job/memory.stat": "total_active_file 0\ntotal_inactive_file 100\n",
        }  # fmt: skip
        groups = "5:cpu:/else\n4:memory:/job/step\n0::/\n"
        assert room.available_memory(self.system(tmp_path / "v1", groups, first)) == 0
