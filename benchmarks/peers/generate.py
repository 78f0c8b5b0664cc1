"""transformers: process start to first logits, then greedy generation."""

import argparse
import statistics
import time

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--prompt", default="List three technologies that make life easier.")
    parser.add_argument("--prompt-tokens", type=int, default=0, help="repeat or cut the prompt's ids to this length")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3, help="the first counts only when alone")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    common.use_threads(args.threads)
    entered = common.seconds_since_start()

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria, StoppingCriteriaList

    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    imported = common.seconds_since_start()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    dtype = torch.float32 if args.precision == "fp32" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).eval()
    loaded = common.seconds_since_start()
    ids = tokenizer(common.prompt_of({"instruction": args.prompt}), return_tensors="pt").input_ids
    if args.prompt_tokens:
        ids = ids.repeat(1, -(-args.prompt_tokens // ids.shape[1]))[:, : args.prompt_tokens]
    best = int(model(ids, logits_to_keep=1).logits[0, -1].argmax())
    first_logits = common.seconds_since_start()

    class Ends(StoppingCriteria):
        """Hears of every step."""

        def __init__(self):
            self.times = []

        def __call__(self, input_ids, scores, **kwargs):
            self.times.append(time.perf_counter())
            return torch.zeros(input_ids.shape[0], dtype=torch.bool)

    # The end of sequence must not cut a run short.
    settings = model.generation_config
    settings.eos_token_id, settings.pad_token_id, settings.do_sample = None, 0, False
    settings.temperature = settings.top_p = settings.top_k = None
    def measure(rows, new_tokens):
        """Seconds to the first new token, from there to the last, and all ids of the first row."""
        prefill, decode = [], []
        for run in range(args.runs):
            ends = Ends()
            start = time.perf_counter()
            output = model.generate(
                rows,
                attention_mask=torch.ones_like(rows),
                max_new_tokens=new_tokens,
                stopping_criteria=StoppingCriteriaList([ends]),
            )
            prefill.append(ends.times[0] - start)
            decode.append(ends.times[-1] - ends.times[0])
            common.progress(f"batch {rows.shape[0]}, run {run + 1}")
        skipped = 1 if args.runs > 1 else 0
        return statistics.median(prefill[skipped:]), statistics.median(decode[skipped:]), output[0].tolist()

    results, greedy = [], []
    for batch in map(int, args.batches.split(",")):
        tokens = batch * ids.shape[1]
        different = torch.cat([ids.roll(-row, 1) for row in range(batch)])
        prefill, decode, first = measure(different, args.new_tokens)
        result = {"batch": batch, "prefill_tokens_per_second": round(tokens / prefill, 1)}
        if args.new_tokens > 1:
            result["decode_tokens_per_second"] = round(batch * (args.new_tokens - 1) / decode, 1)
        if batch == 1:
            greedy = first[ids.shape[1] :]
        else:
            result["prefill_alike_tokens_per_second"] = round(tokens / measure(ids.repeat(batch, 1), 1)[0], 1)
        results.append(result)
    common.emit(
        {
            "script": "generate.py",
            "precision": args.precision,
            "threads": args.threads,
            "prompt_tokens": ids.shape[1],
            "new_tokens": args.new_tokens,
            "import_seconds": round(imported - entered, 3),
            "load_seconds": round(loaded - imported, 3),
            "start_to_first_logits_seconds": round(first_logits, 3),
            "results": results,
            "first_logits_best": best,
            "greedy_ids": greedy,
            "peak_rss_mb": common.peak_mb(),
        }
    )


if __name__ == "__main__":
    main()
