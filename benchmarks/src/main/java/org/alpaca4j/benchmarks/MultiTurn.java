package org.alpaca4j.benchmarks;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.data.Conversation;
import org.alpaca4j.data.ExampleOrder;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.alpaca4j.train.TrainingListener;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Fine-tuning on conversations of several turns: what their sequences begin with alike computed
 * once, against one pass for each answer. Both take the same steps on the same tokens.
 */
@Command(name = "MultiTurn", mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class MultiTurn implements Callable<Integer> {
  /** ChatML in which, as in Qwen 3's template, the last answer alone has a block of thinking. */
  private static final String LIKE_QWEN3 =
      """
      {%- for m in messages %}
        {{- '<|im_start|>' + m.role + '\\n' }}
        {%- if m.role == 'assistant' and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}
        {{- m.content + '<|im_end|>\\n' }}
      {%- endfor %}
      {%- if add_generation_prompt %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if enable_thinking is defined and enable_thinking is false %}
          {{- '<think>\\n\\n</think>\\n\\n' }}
        {%- endif %}
      {%- endif %}
      """;

  @Option(names = "--model", required = true, description = "Hugging Face folder")
  private Path model;

  @Option(names = "--data", required = true, description = "records: .json array, or .jsonl")
  private Path data;

  @Option(names = "--template", description = "Jinja file (default: ChatML with Qwen 3's thoughts)")
  private @Nullable Path template;

  @Option(names = "--turns", description = "of a conversation (default: ${DEFAULT-VALUE})")
  private int turns = 6;

  @Option(names = "--batch", description = "conversations per step (default: ${DEFAULT-VALUE})")
  private int batch = 1;

  @Option(names = "--steps", description = "optimizer steps (default: ${DEFAULT-VALUE})")
  private int steps = 12;

  @Option(names = "--max-length", description = "tokens (default: ${DEFAULT-VALUE})")
  private int maxLength = 1024;

  @Option(names = "--threads", description = "default: ${DEFAULT-VALUE}")
  private int threads = 2;

  MultiTurn() {}

  /** Measures and prints the report. */
  public static void main(String[] args) {
    Measuring.run(new MultiTurn(), args);
  }

  @Override
  public Integer call() {
    Measuring.useThreads(threads);
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("script", "MultiTurn");
    report.put("model", model.getFileName().toString());
    report.put("threads", threads);
    report.put("turns", turns);
    report.put("batch", batch);
    try (CausalLm lm = CausalLm.load(model)) {
      SupervisedDataset dataset = dataset(lm);
      List<SupervisedExample> sequences = new ArrayList<>();
      for (int i = 0; i < dataset.size(); i++) {
        sequences.addAll(dataset.get(i).sequences());
      }
      report.put("conversations", dataset.size());
      report.put("sequences", sequences.size());
      report.put("supervised_tokens", dataset.report().supervisedTokens());
      List<Map<String, Object>> sides = new ArrayList<>();
      sides.add(side("shared beginnings", lm, dataset, batch, 1));
      if (sequences.size() == (long) dataset.size() * turns) {
        SupervisedDataset apart = SupervisedDataset.of(sequences);
        sides.add(side("one pass per answer", lm, apart, 1, batch * turns));
      } else {
        report.put("left_out", "one pass per answer: turns were dropped; raise --max-length");
      }
      report.put("sides", sides);
    }
    Measuring.emit(report);
    return 0;
  }

  /** Conversations of consecutive records. */
  private SupervisedDataset dataset(CausalLm lm) {
    List<InstructionRecord> records = Measuring.records(data);
    List<Conversation> conversations = new ArrayList<>();
    for (int c = 0; c < steps * batch; c++) {
      List<ChatMessage> messages = new ArrayList<>();
      for (int turn = 0; turn < turns; turn++) {
        InstructionRecord record = records.get((c * turns + turn) % records.size());
        messages.add(ChatMessage.user((record.instruction() + "\n" + record.input()).strip()));
        messages.add(ChatMessage.assistant(record.output()));
      }
      conversations.add(new Conversation(messages));
    }
    return SupervisedDataset.conversations()
        .tokenizer(lm.tokenizer())
        .chatTemplate(ChatTemplate.of(templateText()))
        .records(conversations)
        .maxLength(maxLength)
        .onTooLong(SupervisedDataset.OnTooLong.DROP_TURNS)
        .build();
  }

  private String templateText() {
    try {
      return template == null ? LIKE_QWEN3 : Files.readString(template);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Map<String, Object> side(
      String name, CausalLm lm, SupervisedDataset dataset, int batchSize, int accumulation) {
    List<Double> seconds = new ArrayList<>();
    List<Integer> supervised = new ArrayList<>();
    SftTrainer.builder()
        .model(lm)
        .dataset(dataset)
        .config(
            SftConfig.builder()
                .maxSteps(dataset.size() / (batchSize * accumulation))
                .batchSize(batchSize)
                .gradientAccumulationSteps(accumulation)
                .learningRate(1e-5)
                .order(ExampleOrder.SEQUENTIAL)
                .build())
        .listener(
            new TrainingListener() {
              @Override
              public void stepCompleted(Step step) {
                Measuring.progress(
                    String.format(
                        Locale.ROOT, "%s: step %d, %.2f s", name, step.step(), seconds(step)));
                seconds.add(seconds(step));
                supervised.add(step.supervisedTokens());
              }
            })
        .build()
        .train();
    int skipped = Math.min(Measuring.NOT_TIMED, seconds.size() - 1);
    double time =
        seconds.subList(skipped, seconds.size()).stream().mapToDouble(Double::doubleValue).sum();
    int learnt =
        supervised.subList(skipped, supervised.size()).stream().mapToInt(Integer::intValue).sum();
    long computed = 0;
    long given = 0;
    for (int from = 0; from + batchSize <= dataset.size(); from += batchSize) {
      PackedBatch packed =
          PackedBatch.of(IntStream.range(from, from + batchSize).mapToObj(dataset::get).toList());
      computed += computed(lm, packed);
      given += packed.tokens();
    }
    Map<String, Object> side = new LinkedHashMap<>();
    side.put("side", name);
    side.put("tokens_of_sequences", given);
    side.put("tokens_computed", computed);
    side.put("seconds_per_step", Measuring.round(time / (seconds.size() - skipped), 4));
    side.put("supervised_tokens_per_second", Measuring.round(learnt / time, 1));
    return side;
  }

  private static double seconds(TrainingListener.Step step) {
    return step.duration().toNanos() / 1e9;
  }

  private static int computed(CausalLm lm, PackedBatch packed) {
    int[] starts = packed.cumulativeLengths();
    int[] lengths = IntStream.range(0, packed.size()).map(k -> starts[k + 1] - starts[k]).toArray();
    try (NDManager scope = NDManager.newBaseManager()) {
      return Internals.loaded(lm)
          .decoder()
          .pack(scope, packed.inputIds(), lengths, null, DType.F32)
          .tokens();
    }
  }
}
