"""Self-Instruct's filter: keeps an instruction if no one kept before has a ROUGE-L F-measure above 0.7 with it.

--way original  rouge_score in a process pool of its own for each instruction, as Stanford Alpaca's script
--way bits      one process, the common subsequence bit-parallel in Python's integers
Both score all pairs, and take the ten most similar and the mean of each instruction kept.
"""

import argparse
import functools
import heapq
import multiprocessing
import time
import zlib

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", required=True, help="seed_tasks.jsonl")
    parser.add_argument("--data", required=True)
    parser.add_argument("--count", type=int, required=True, help="the first so many instructions of both files")
    parser.add_argument("--way", choices=["original", "bits"], required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    common.use_threads(args.threads)

    from rouge_score import tokenize

    records = common.read_records(args.seeds) + common.read_records(args.data)
    texts = [tokenize.tokenize(record["instruction"], None) for record in records[: args.count]]
    scores_of = functools.partial(original, processes=args.threads) if args.way == "original" else bits
    start, processor = time.perf_counter(), cpu_seconds()
    kept, pairs, means = [], 0, []
    for index, text in enumerate(texts):
        scores = scores_of(text, [texts[i] for i in kept]) if kept else []
        pairs += len(scores)
        if scores and max(scores) > 0.7:
            continue
        if scores:
            heapq.nlargest(10, enumerate(scores), key=lambda pair: pair[1])
            means.append(sum(scores) / len(scores))
        kept.append(index)
    seconds = time.perf_counter() - start
    common.emit(
        {
            "script": "dedup.py",
            "way": args.way,
            "threads": args.threads,
            "texts": len(texts),
            "kept": len(kept),
            "kept_crc": zlib.crc32(",".join(map(str, kept)).encode()),
            "pairs": pairs,
            "mean_similarity": sum(means) / len(means),
            "seconds": round(seconds, 3),
            "cpu_seconds": round(cpu_seconds() - processor, 3),
            "microseconds_per_pair": round(1e6 * seconds / pairs, 4),
            "peak_rss_mb": common.peak_mb(),
        }
    )


def cpu_seconds():
    """Of this process and of those it has waited for."""
    import os

    return sum(os.times()[:4])


def original(text, kept, processes):
    from rouge_score import rouge_scorer

    with multiprocessing.Pool(processes) as pool:
        scores = [score.fmeasure for score in pool.map(functools.partial(rouge_scorer._score_lcs, text), kept)]
        pool.close()
        pool.join()
        return scores


def bits(text, kept):
    where = {}
    for place, token in enumerate(text):
        where[token] = where.get(token, 0) | (1 << place)
    ones = (1 << len(text)) - 1
    scores = []
    for other in kept:
        row = ones
        for token in other:
            if token in where:
                hits = row & where[token]
                row = ((row + hits) | (row - hits)) & ones
        length = len(text) - row.bit_count()
        if length == 0:
            scores.append(0.0)
        else:
            precision, recall = length / len(other), length / len(text)
            scores.append(2 * precision * recall / (precision + recall))
    return scores


if __name__ == "__main__":
    main()
