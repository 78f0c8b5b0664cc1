"""Weight diff as Stanford Alpaca's script computes it: both models whole, in fp32, by transformers."""

import argparse
import threading
import time

import common


class AnonymousMemory(threading.Thread):
    """Looks at RssAnon, of which Linux keeps no high-water mark, every ten milliseconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = float("nan")
        self.start()

    def run(self):
        while True:
            self.look()
            time.sleep(0.01)

    def look(self):
        try:
            with open("/proc/self/status") as status:
                for line in status:
                    if line.startswith("RssAnon:"):
                        now = int(line.split()[1]) / 1024
                        self.peak = self.peak if self.peak >= now else now
        except OSError:
            pass


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=["make", "recover"], type=str.lower, required=True)
    parser.add_argument("--raw", required=True)
    parser.add_argument("--changed", required=True, help="make: the tuned model; recover: the diff")
    parser.add_argument("--out", required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    common.use_threads(args.threads)
    memory = AnonymousMemory()

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(args.threads)
    changed, raw = (AutoModelForCausalLM.from_pretrained(f, dtype=torch.float32) for f in (args.changed, args.raw))
    tokenizer = AutoTokenizer.from_pretrained(args.changed)
    if AutoTokenizer.from_pretrained(args.raw).pad_token is None:
        grow(raw, changed.get_input_embeddings().num_embeddings)

    raw_weights, done = raw.state_dict(), set()
    for name, weight in changed.state_dict().items():
        if weight.data_ptr() not in done:  # a tied tensor once
            done.add(weight.data_ptr())
            weight.add_(raw_weights[name], alpha=-1 if args.task == "make" else 1)
    if args.task == "recover":  # the original's integrity figure
        common.progress(f"sum {sum(float(weight.sum()) for weight in changed.state_dict().values())}")
    changed.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    memory.look()
    common.emit(
        {
            "script": "diff.py",
            "task": args.task,
            "parameters": sum(p.numel() for p in changed.parameters()),
            "threads": args.threads,
            "peak_anonymous_mb": round(memory.peak, 1),
            "peak_rss_mb": common.peak_mb(),
            "seconds": round(common.seconds_since_start(), 3),
        }
    )


def grow(model, rows):
    """Gives embedding and head further rows, the mean of those they have."""
    before = model.get_input_embeddings().num_embeddings
    if rows <= before:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight.data[before:] = layer.weight.data[:before].mean(0, keepdim=True)


if __name__ == "__main__":
    main()
