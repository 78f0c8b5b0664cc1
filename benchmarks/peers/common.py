"""What the peers share: threads and clocks, Alpaca records and prompts, the report in one JSON line."""

import json
import os
import resource
import sys
import time

_ENTERED = time.time()
IGNORE = -100
INTRO = "Below is an instruction that describes a task"
WITH_INPUT = (
    INTRO + ", paired with an input that provides further context. Write a response that appropriately completes the "
    "request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
WITHOUT_INPUT = (
    INTRO + ". Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n"
    "### Response:"
)


def use_threads(count):
    """To be called before torch and tokenizers are imported."""
    for pool in ("OMP", "MKL", "RAYON"):
        os.environ[pool + "_NUM_THREADS"] = str(count)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    for offline in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ[offline] = "1"


def seconds_since_start():
    """Since this process was asked for; without a caller that says when, since this module was imported."""
    told = os.environ.get("BENCHMARK_STARTED_MS")
    return time.time() - (float(told) / 1e3 if told else _ENTERED)


def peak_mb():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def progress(text):
    print(text, file=sys.stderr, flush=True)


def emit(report):
    print(json.dumps(report), flush=True)


def read_records(path, repeat=1):
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file if line.strip()] if path.endswith(".jsonl") else json.load(file)
    return records * repeat


def prompt_of(record):
    if record.get("input"):
        return WITH_INPUT.format(instruction=record["instruction"], input=record["input"])
    return WITHOUT_INPUT.format(instruction=record["instruction"])


def load_tokenizer(folder, max_length):
    """The folder's tokenizer with the special tokens that train.py adds where there are none."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=max_length, padding_side="right")
    wanted = {"pad_token": "[PAD]", "eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}
    missing = {role: token for role, token in wanted.items() if getattr(tokenizer, role) is None}
    if missing:
        tokenizer.add_special_tokens(missing)
    return tokenizer


def tokenize_as_train_py(records, tokenizer, max_length):
    """Stanford Alpaca's way: whole text and source, each string by itself; labels masked by the source's length."""

    def one(text):
        return tokenizer(text, return_tensors="pt", padding="longest", max_length=max_length, truncation=True).input_ids[0]

    sources = [prompt_of(record) for record in records]
    wholes = [one(source + record["output"] + tokenizer.eos_token) for source, record in zip(sources, records)]
    lengths = [int(one(source).ne(tokenizer.pad_token_id).sum()) for source in sources]
    examples = []
    for ids, length in zip(wholes, lengths):
        labels = ids.clone()
        labels[:length] = IGNORE
        examples.append({"input_ids": ids, "labels": labels})
    return examples
