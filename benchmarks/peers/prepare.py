"""Tokenising and masking: string by string as train.py does, or in batches through datasets.map (--way map)."""

import argparse
import time

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--way", choices=["strings", "map"], default="map")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    common.use_threads(args.threads)

    import torch

    torch.set_num_threads(args.threads)
    tokenizer = common.load_tokenizer(args.tokenizer, args.max_length)
    records = common.read_records(args.data, args.repeat)
    if args.way == "map":
        import datasets

        datasets.disable_caching()
        datasets.utils.logging.disable_progress_bar()
    tokenizer("warm up")
    start = time.perf_counter()
    if args.way == "strings":
        examples = common.tokenize_as_train_py(records, tokenizer, args.max_length)
    else:
        columns = {name: [r.get(name, "") for r in records] for name in ("instruction", "input", "output")}
        examples = datasets.Dataset.from_dict(columns).map(
            lambda batch: segments(batch, tokenizer, args.max_length),
            batched=True,
            batch_size=1000,
            remove_columns=list(columns),
        )
    seconds = time.perf_counter() - start
    common.emit(
        {
            "script": "prepare.py",
            "way": args.way,
            "threads": args.threads,
            "records": len(records),
            "tokens": {
                "supervised": sum(sum(int(x) != common.IGNORE for x in e["labels"]) for e in examples),
                "nonpad": sum(len(e["input_ids"]) for e in examples),
            },
            "seconds": round(seconds, 3),
            "records_per_second": round(len(records) / seconds, 1),
            "peak_rss_mb": common.peak_mb(),
        }
    )


def segments(batch, tokenizer, max_length):
    """Source and target tokenised apart, the end of sequence as an id."""
    rows = [dict(zip(batch, row)) for row in zip(*batch.values())]
    sources = tokenizer([common.prompt_of(row) for row in rows], return_attention_mask=False).input_ids
    targets = tokenizer(batch["output"], add_special_tokens=False, return_attention_mask=False).input_ids
    ids, labels = [], []
    for source, target in zip(sources, targets):
        target = target + [tokenizer.eos_token_id]
        ids.append((source + target)[:max_length])
        labels.append(([common.IGNORE] * len(source) + target)[:max_length])
    return {"input_ids": ids, "labels": labels}


if __name__ == "__main__":
    main()
