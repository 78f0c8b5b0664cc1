"""Reading and tokenising a file of JSON lines: datasets' load_dataset and map, tokens in Arrow files."""

import argparse
import tempfile
import time

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    common.use_threads(args.threads)

    import datasets
    from prepare import segments

    datasets.utils.logging.disable_progress_bar()
    tokenizer = common.load_tokenizer(args.tokenizer, args.max_length)
    tokenizer("warm up")
    with tempfile.TemporaryDirectory(dir=args.out) as cache:
        start = time.perf_counter()
        rows = datasets.load_dataset("json", data_files=args.data, split="train", cache_dir=cache)
        examples = rows.map(
            lambda batch: segments(batch, tokenizer, args.max_length),
            batched=True,
            batch_size=1000,
            remove_columns=rows.column_names,
        )
        seconds = time.perf_counter() - start
        common.emit(
            {
                "script": "corpus.py",
                "threads": args.threads,
                "records": len(examples),
                "tokens": {"nonpad": sum(len(e) for e in examples["input_ids"])},
                "seconds": round(seconds, 3),
                "records_per_second": round(len(examples) / seconds, 1),
                "peak_rss_mb": common.peak_mb(),
            }
        )


if __name__ == "__main__":
    main()
