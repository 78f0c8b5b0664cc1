package org.alpaca4j.examples;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.InstructionReader;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.RecordSource;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.alpaca4j.train.ModelEvaluator;
import org.alpaca4j.train.ModelEvaluator.ExampleLoss;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Computes a checkpoint's loss on every record of a file: the mean cross entropy of the answer's
 * tokens, its end token included.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.Evaluate \
 *   -Dexec.args="--model DIR --data alpaca_data.json --limit 64 --out losses.jsonl"
 * </pre>
 *
 * <p>The mean over all supervised tokens goes to standard output, as one JSON object. Records of
 * instructions have no weights, so all tokens count alike.
 */
@Command(
    name = "Evaluate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Computes a checkpoint's loss on every record of a file.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class Evaluate implements Callable<Integer> {
  @Mixin private ModelOptions model;

  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE",
      description = "records with instruction, input, output: JSON, JSON lines, CSV or Parquet")
  private Path data;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "FILE",
      description = "a JSON line per record: index, loss, supervised_tokens")
  private Path out;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "only the first N records (default: all)")
  private @Nullable Integer limit;

  @Option(
      names = "--max_length",
      paramLabel = "N",
      description = "tokens of an example, longer ones are cut (default: ${DEFAULT-VALUE})")
  private int maxLength = 512;

  @Option(
      names = "--chat",
      description = "the checkpoint's own chat template instead of Alpaca's prompt")
  private boolean chat;

  Evaluate() {}

  /** Evaluates; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new Evaluate(), args));
  }

  @Override
  public Integer call() {
    ExampleCommand.requireAtLeastOne("--limit", limit);
    ExampleCommand.requireAtLeastOne("--max_length", maxLength);
    model.useThreads();
    long start = System.nanoTime();
    try (CausalLm lm = load();
        JsonLines lines = JsonLines.create(out)) {
      Examples examples = chat ? chatExamples(lm.tokenizer()) : alpacaExamples(lm.tokenizer());
      List<ExampleLoss> losses;
      try (ModelEvaluator evaluator = ModelEvaluator.of(lm)) {
        losses = evaluator.losses(examples.dataset());
      }
      Map<String, Number> mean = write(examples, losses, lines);
      mean.put("seconds", (System.nanoTime() - start) / 1e9);
      System.out.println(JsonLines.toJson(mean));
    }
    return ExampleCommand.DONE;
  }

  private CausalLm load() {
    try (Tokenizer tokenizer = Tokenizer.load(model.folder())) {
      return model.loader().tokenizer(tokenizer.withMissingSpecialTokens().tokenizer()).load();
    }
  }

  /**
   * What can be evaluated.
   *
   * @param dataset the examples with a supervised token
   * @param indexes the record that each was made of
   * @param records how many records there are
   */
  private record Examples(SupervisedDataset dataset, int[] indexes, int records) {}

  private RecordSource<InstructionRecord> records() {
    RecordSource<InstructionRecord> all = GivenData.records(data).map(InstructionReader.alpaca());
    return limit == null ? all : all.limit(limit);
  }

  private Examples alpacaExamples(Tokenizer tokenizer) {
    SupervisedDataset dataset =
        SupervisedDataset.builder()
            .tokenizer(tokenizer)
            .template(PromptTemplate.ALPACA)
            .source(records())
            .maxLength(maxLength)
            .build();
    return new Examples(
        dataset,
        IntStream.range(0, dataset.size()).map(dataset::recordIndex).toArray(),
        dataset.report().records());
  }

  /** The user's turn up to the open answer from the chat template, then answer and end token. */
  private Examples chatExamples(Tokenizer tokenizer) {
    ChatTemplate template =
        tokenizer
            .chatTemplate()
            .orElseThrow(
                () ->
                    new DataException(model.folder() + ": has no chat template; leave out --chat"));
    int end = tokenizer.tokenToId("<|im_end|>").orElseGet(() -> tokenizer.eosId().orElseThrow());
    List<InstructionRecord> records;
    try (Stream<InstructionRecord> all = records().stream()) {
      records = all.toList();
    }
    int count = records.size();
    List<SupervisedExample> examples =
        IntStream.range(0, count)
            .parallel()
            .mapToObj(i -> chatExample(records.get(i), template, tokenizer, end))
            .toList();
    int[] indexes =
        IntStream.range(0, count).filter(i -> examples.get(i).supervisedTokens() > 0).toArray();
    return new Examples(
        SupervisedDataset.of(IntStream.of(indexes).mapToObj(examples::get).toList()),
        indexes,
        count);
  }

  private SupervisedExample chatExample(
      InstructionRecord record, ChatTemplate template, Tokenizer tokenizer, int end) {
    String content =
        record.input().isEmpty()
            ? record.instruction()
            : record.instruction() + "\n" + record.input();
    String opened =
        template
            .render(
                List.of(ChatMessage.user(content)),
                ChatTemplate.RenderOptions.withGenerationPrompt())
            .text();
    int[] source = tokenizer.encodeIds(opened, false);
    int[] answer = tokenizer.encodeIds(record.output(), false);
    int[] ids = Arrays.copyOf(source, source.length + answer.length + 1);
    System.arraycopy(answer, 0, ids, source.length, answer.length);
    ids[ids.length - 1] = end;
    int[] labels = ids.clone();
    Arrays.fill(labels, 0, source.length, SupervisedExample.IGNORE_INDEX);
    int length = Math.min(ids.length, maxLength);
    return new SupervisedExample(Arrays.copyOf(ids, length), Arrays.copyOf(labels, length));
  }

  /** Writes a line per record, in order, also for those without a supervised token. */
  private static Map<String, Number> write(
      Examples examples, List<ExampleLoss> losses, JsonLines lines) {
    double sum = 0;
    long supervised = 0;
    int next = 0;
    for (int record = 0; record < examples.records(); record++) {
      ExampleLoss loss = new ExampleLoss(Double.NaN, 0, 0);
      if (next < losses.size() && examples.indexes()[next] == record) {
        loss = losses.get(next++);
        sum += loss.loss() * loss.supervisedTokens();
        supervised += loss.supervisedTokens();
      }
      Map<String, Number> line = new LinkedHashMap<>();
      line.put("index", record);
      line.put("loss", loss.loss());
      line.put("supervised_tokens", loss.supervisedTokens());
      lines.write(line);
    }
    Map<String, Number> mean = new LinkedHashMap<>();
    mean.put("mean_loss", sum / supervised);
    mean.put("records", examples.records());
    mean.put("records_without_supervised_token", examples.records() - losses.size());
    mean.put("supervised_tokens", supervised);
    mean.put("tokens", examples.dataset().report().tokens());
    return mean;
  }
}
