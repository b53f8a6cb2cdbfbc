"""Writes checkpoints of every layout with tiny valid safetensors, without torch."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Change = Callable[[Path], object]


def safetensors(tensors: Mapping[str, int], *, fill: bytes = b"\x01") -> bytes:
    """A file of U8 tensors: name -> bytes of its body."""
    header: dict[str, Any] = {}
    offset = 0
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return len(text).to_bytes(8, "little") + text + fill * offset


def json_file(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


class Checkpoints:
    """A factory of checkpoints under `root/run/checkpoint-N`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def directory(self, run: str = "run", step: int = 100) -> Path:
        path = self.root / run / f"checkpoint-{step}"
        path.mkdir(parents=True)
        return path

    def hf(self, run: str = "run", step: int = 100, *, size: int = 64) -> Path:
        path = self.directory(run, step)
        json_file(path / "config.json", {"architectures": ["LlamaForCausalLM"]})
        json_file(path / "generation_config.json", {"eos_token_id": 2})
        (path / "model.safetensors").write_bytes(safetensors({"embed": size, "head": size}))
        self._trainer_files(path)
        return path

    def sharded(self, run: str = "run", step: int = 100, *, shards: int = 3) -> Path:
        path = self.directory(run, step)
        json_file(path / "config.json", {"architectures": ["LlamaForCausalLM"]})
        weight_map = {}
        for number in range(1, shards + 1):
            name = f"model-{number:05}-of-{shards:05}.safetensors"
            (path / name).write_bytes(safetensors({f"layer.{number}": 32}))
            weight_map[f"layer.{number}"] = name
        index = {"metadata": {"total_size": 32 * shards}, "weight_map": weight_map}
        json_file(path / "model.safetensors.index.json", index)
        self._trainer_files(path)
        return path

    def lora(self, run: str = "run", step: int = 100) -> Path:
        path = self.directory(run, step)
        (path / "README.md").write_text("adapter\n")
        (path / "adapter_model.safetensors").write_bytes(safetensors({"lora_A": 16, "lora_B": 16}))
        json_file(path / "adapter_config.json", {"base_model_name_or_path": "org/base", "r": 8})
        self._trainer_files(path)
        return path

    def fsdp_dcp(self, run: str = "run", step: int = 100) -> Path:
        path = self.directory(run, step)
        for name in ("pytorch_model_fsdp_0", "optimizer_0"):
            _files(path / name, "__0_0.distcp", "__1_0.distcp", ".metadata")
        self._trainer_files(path)
        return path

    def deepspeed(self, run: str = "run", step: int = 100) -> Path:
        path = self.directory(run, step)
        _files(path / f"global_step{step}", "zero_pp_rank_0_mp_rank_00_model_states.pt")
        _files(path, "zero_to_fp32.py", "latest")
        (path / "zero_to_fp32.py").chmod(0o755)
        self._trainer_files(path)
        return path

    def oumi_dcp(self, run: str = "run", step: int = 100) -> Path:
        path = self.directory(run, step)
        for name in ("model", "optimizer"):
            _files(path / name, "__0_0.distcp", ".metadata")
        _files(path, "dataloader.pt", "trainer_state.json")
        return path

    def verl(self, run: str = "run", step: int = 100) -> Path:
        path = self.directory(run, step)
        _files(path / "actor", "model_world_size_2_rank_0.pt", "optim_world_size_2_rank_0.pt")
        return path

    def pickle_only(self, run: str = "run", step: int = 100) -> Path:
        path = self.directory(run, step)
        json_file(path / "config.json", {})
        _files(path, "pytorch_model.bin")
        self._trainer_files(path)
        return path

    def _trainer_files(self, path: Path) -> None:
        json_file(path / "tokenizer_config.json", {"model_max_length": 2048})
        json_file(path / "tokenizer.json", {"version": "1.0"})
        _files(path, "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")
        json_file(path / "trainer_state.json", {"global_step": 100})


def _files(directory: Path, *names: str) -> None:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_bytes(b"bytes of " + name.encode())


def add(name: str, content: bytes = b"x") -> Change:
    return lambda path: (path / name).write_bytes(content)


def link(name: str, target: str) -> Change:
    return lambda path: (path / name).symlink_to(target)


def point_shard(target: str) -> Change:
    """Let the index name `target` in place of its second shard."""

    def change(path: Path) -> None:
        index = path / "model.safetensors.index.json"
        content = json.loads(index.read_text())
        content["weight_map"]["layer.2"] = target
        json_file(index, content)

    return change
