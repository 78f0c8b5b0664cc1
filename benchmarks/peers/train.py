"""Full fine-tuning as a Python user would run it; records in the order of the file.

--kind plain: Stanford Alpaca's train.py on today's transformers Trainer: padded batches, all logits, plain AdamW.
--kind trl: TRL's SFTTrainer: padding-free batches, completion-only loss, fused AdamW. --head fused is SFTTrainer
untouched; full computes all logits in one go, as transformers does; supervised is what a user who tunes would write:
the head at supervised positions only.
"""

import argparse
import statistics
import tempfile
import time

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["plain", "trl"], default="plain")
    parser.add_argument("--head", choices=["fused", "full", "supervised"], default="fused")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="bf16: autocast over fp32 weights")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    common.use_threads(args.threads)

    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    tokenizer = common.load_tokenizer(args.model, args.max_length)
    records = common.read_records(args.data)[: args.steps * args.batch]
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa")
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))
    model.config.use_cache = False
    clock = Clock(args.steps)
    with tempfile.TemporaryDirectory() as scratch:
        options = dict(
            output_dir=scratch,
            use_cpu=True,
            bf16=args.precision == "bf16",
            max_steps=args.steps,
            per_device_train_batch_size=args.batch,
            learning_rate=2e-5,
            lr_scheduler_type="cosine",
            warmup_steps=0.03,  # below 1: a share of the steps
            weight_decay=0.0,
            train_sampling_strategy="sequential",
            dataloader_pin_memory=False,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        make = plain_trainer if args.kind == "plain" else trl_trainer
        trainer = make(args, options, model, tokenizer, records, clock)
        trainer.train()
    common.emit(
        {
            "script": "train.py",
            "kind": args.kind if args.kind == "plain" else f"trl-{args.head}",
            "precision": args.precision,
            "threads": args.threads,
            **clock.report(),
            "peak_rss_mb": common.peak_mb(),
        }
    )


class Clock:
    """Loss, tokens and time of each step; a step lasts from the end of one to the end of the next."""

    def __init__(self, steps):
        self.skipped = min(2, steps - 1)
        self.losses, self.tokens, self.seconds = [], [], []
        self.last = None

    def attach(self, trainer_class):
        from transformers import PrinterCallback, TrainerCallback

        clock = self

        class Ends(TrainerCallback):
            def on_train_begin(self, *args, **kwargs):
                clock.last = time.perf_counter()

            def on_step_end(self, *args, **kwargs):
                now = time.perf_counter()
                clock.seconds.append(now - clock.last)
                clock.last = now
                common.progress(f"step {len(clock.seconds)}: loss {clock.losses[-1]:.4f}, {clock.seconds[-1]:.2f} s")

        class Timed(trainer_class):
            def training_step(self, model, inputs, num_items_in_batch=None):
                labels, mask = inputs["labels"], inputs.get("attention_mask")
                useful = inputs["input_ids"].numel() if mask is None else int(mask.sum())
                clock.tokens.append((int((labels[:, 1:] != common.IGNORE).sum()), useful))
                loss = super().training_step(model, inputs, num_items_in_batch)
                clock.losses.append(float(loss))
                return loss

        def make(**options):
            trainer = Timed(**options)
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(Ends())
            return trainer

        return make

    def report(self):
        timed = self.seconds[self.skipped :]
        return {
            "steps": len(self.seconds),
            "steps_not_timed": self.skipped,
            "seconds_per_step_median": round(statistics.median(timed), 4),
            "tokens_per_second_useful": round(sum(useful for _, useful in self.tokens[self.skipped :]) / sum(timed), 1),
            "seconds_per_step": [round(seconds, 4) for seconds in self.seconds],
            "tokens_per_step": self.tokens,
            "losses": self.losses,
        }


def plain_trainer(args, options, model, tokenizer, records, clock):
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from transformers import Trainer, TrainingArguments

    def collate(examples):
        ids = [example["input_ids"] for example in examples]
        lengths = torch.tensor([len(row) for row in ids])
        padded = pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id)
        labels = pad_sequence([e["labels"] for e in examples], batch_first=True, padding_value=common.IGNORE)
        mask = torch.arange(padded.shape[1])[None] < lengths[:, None]
        return {"input_ids": padded, "labels": labels, "attention_mask": mask}

    return clock.attach(Trainer)(
        model=model,
        args=TrainingArguments(**options, optim="adamw_torch"),
        train_dataset=common.tokenize_as_train_py(records, tokenizer, args.max_length),
        data_collator=collate,
    )


def trl_trainer(args, options, model, tokenizer, records, clock):
    import torch
    from datasets import Dataset, disable_caching
    from datasets.utils.logging import disable_progress_bar
    from transformers import Trainer
    from trl import SFTConfig, SFTTrainer

    disable_caching()
    disable_progress_bar()

    class Full(SFTTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    class Supervised(SFTTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            labels = inputs["labels"][:, 1:]
            rest = {name: value for name, value in inputs.items() if name != "labels"}
            hidden = model.get_decoder()(**rest, use_cache=False).last_hidden_state[:, :-1]
            at = labels != common.IGNORE
            logits = model.get_output_embeddings()(hidden[at]).float()
            loss = torch.nn.functional.cross_entropy(logits, labels[at], reduction="sum")
            loss = loss / (at.sum() if num_items_in_batch is None else num_items_in_batch)
            return (loss, None) if return_outputs else loss

    rows = [{"prompt": common.prompt_of(r), "completion": r["output"] + tokenizer.eos_token} for r in records]
    trainer = clock.attach({"fused": SFTTrainer, "full": Full, "supervised": Supervised}[args.head])(
        model=model,
        args=SFTConfig(
            **options,
            optim="adamw_torch_fused",
            gradient_checkpointing=False,
            completion_only_loss=True,
            padding_free=True,
            max_length=None,  # cannot be combined with padding_free: rows are cut below
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.train_dataset = trainer.train_dataset.map(
        lambda row: {name: row[name][: args.max_length] for name in ("input_ids", "labels")}
    )
    return trainer


if __name__ == "__main__":
    main()
