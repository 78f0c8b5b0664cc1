package org.alpaca4j.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.alpaca4j.core.internal.generation.BeamSearch;
import org.alpaca4j.core.internal.generation.LogitsProcessors;
import org.alpaca4j.core.internal.generation.TextStream;
import org.alpaca4j.core.internal.model.IncrementalDecoder;
import org.alpaca4j.core.internal.model.IncrementalDecoder.Sequences;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.ModelUse;
import org.jspecify.annotations.Nullable;

/**
 * Generates text with a model: greedily, by sampling, or by beam search, of one prompt or of
 * several at once.
 *
 * <p>Prompts of a batch may have different lengths; results are those of each prompt alone, up to
 * the rounding of sums. As in transformers, but pads, of which a caller sees nothing, never count
 * as tokens seen before, and a finished beam search is not continued because another one runs.
 *
 * <p>The weights are used as they are when a call begins. Thread-safe: calls from several threads
 * run side by side. Owned by its model.
 */
public final class Generator {
  private final IncrementalDecoder decoder;
  private final LoadedModel model;
  private final ModelUse use;
  private final Supplier<GenerationConfig> defaults;
  private final Supplier<@Nullable Tokenizer> tokenizer;

  Generator(
      IncrementalDecoder decoder,
      LoadedModel model,
      ModelUse use,
      Supplier<GenerationConfig> defaults,
      Supplier<@Nullable Tokenizer> tokenizer) {
    this.decoder = decoder;
    this.model = model;
    this.use = use;
    this.defaults = defaults;
    this.tokenizer = tokenizer;
  }

  /** Generates with the model's own options; see {@link #generate(List, GenerationConfig)}. */
  public GenerationResult generate(int[] prompt) {
    Objects.requireNonNull(prompt, "prompt is null");
    return generate(prompt, defaults.get());
  }

  /** Generates for one prompt; see {@link #generate(List, GenerationConfig)}. */
  public GenerationResult generate(int[] prompt, GenerationConfig config) {
    Objects.requireNonNull(prompt, "prompt is null");
    return generate(List.of(prompt), config).get(0);
  }

  /** Generates for one prompt; see {@link #generate(List, GenerationConfig, TokenListener)}. */
  public GenerationResult generate(int[] prompt, GenerationConfig config, TokenListener listener) {
    Objects.requireNonNull(prompt, "prompt is null");
    return generate(List.of(prompt), config, listener).get(0);
  }

  /**
   * Generates a sequence for each prompt.
   *
   * @param prompts token ids, at least one each
   * @param config how to generate
   * @return a result per prompt, in order
   * @throws IllegalArgumentException if a prompt is empty, has an id outside the vocabulary, or
   *     leaves no room within {@link GenerationConfig#maxLength}; or if there are stop strings and
   *     the model has no tokenizer
   */
  public List<GenerationResult> generate(List<int[]> prompts, GenerationConfig config) {
    Objects.requireNonNull(prompts, "prompts is null");
    return run(prompts, config, null);
  }

  /**
   * As {@link #generate(List, GenerationConfig)}, telling a listener of each token as it comes.
   *
   * @throws IllegalArgumentException also if {@link GenerationConfig#numBeams} is above 1: beams
   *     are known at the end only
   */
  public List<GenerationResult> generate(
      List<int[]> prompts, GenerationConfig config, TokenListener listener) {
    Objects.requireNonNull(prompts, "prompts is null");
    Objects.requireNonNull(config, "config is null");
    Objects.requireNonNull(listener, "listener is null");
    if (config.numBeams() > 1) {
      throw new IllegalArgumentException(
          "numBeams = " + config.numBeams() + ": tokens of beam search cannot be listened to");
    }
    return run(prompts, config, listener);
  }

  /**
   * Puts the weights in the form in which decoding is fastest, which otherwise happens by itself
   * once enough tokens were generated for it to be worth its time.
   */
  public void prepare() {
    try (ModelUse.Use reading = use.read()) {
      decoder.prepare();
    }
  }

  private List<GenerationResult> run(
      List<int[]> prompts, GenerationConfig config, @Nullable TokenListener listener) {
    Objects.requireNonNull(config, "config is null");
    if (prompts.isEmpty()) {
      return List.of();
    }
    prompts.forEach(this::check);
    try (ModelUse.Use reading = use.read()) {
      Call call = new Call(prompts, config, listener);
      return config.numBeams() > 1 ? call.searchBeams() : call.generate();
    }
  }

  private void check(int[] prompt) {
    Objects.requireNonNull(prompt, "prompt is null");
    if (prompt.length == 0) {
      throw new IllegalArgumentException("a prompt is empty: give at least one token, such as BOS");
    }
    for (int id : prompt) {
      if (id < 0 || id >= model.config().vocabSize()) {
        throw new IllegalArgumentException(
            "prompt id "
                + id
                + " is outside the model's vocabulary of "
                + model.config().vocabSize());
      }
    }
  }

  /** What one call needs to know. */
  private final class Call {
    private final List<int[]> prompts;
    private final GenerationConfig config;
    private final @Nullable TokenListener listener;
    private final Set<Integer> eos;
    private final LogitsProcessors processors;
    private final @Nullable Tokenizer text;

    Call(List<int[]> prompts, GenerationConfig config, @Nullable TokenListener listener) {
      this.prompts = prompts;
      this.config = config;
      this.listener = listener;
      eos = eosIds(config);
      processors = LogitsProcessors.of(config, eos);
      text = tokenizer.get();
      if (text == null && !config.stopStrings().isEmpty()) {
        throw new IllegalArgumentException(
            "stopStrings " + config.stopStrings() + " need a tokenizer, and the model has none");
      }
    }

    private Set<Integer> eosIds(GenerationConfig config) {
      List<Integer> ids =
          config
              .eosTokenIds()
              .or(() -> defaults.get().eosTokenIds())
              .orElseGet(model.config()::eosTokenIds);
      Set<Integer> known = new HashSet<>(ids);
      known.removeIf(id -> id < 0 || id >= model.config().vocabSize()); // they never come
      return known;
    }

    private int room(int[] prompt) {
      if (config.maxLength().isEmpty()) {
        return config.maxNewTokens();
      }
      int room = config.maxLength().getAsInt() - prompt.length;
      if (room < 1) {
        throw new IllegalArgumentException(
            "a prompt of "
                + prompt.length
                + " tokens leaves no room within maxLength "
                + config.maxLength().getAsInt()
                + ": set maxNewTokens");
      }
      return room;
    }

    private Sequences start() {
      int steps = prompts.stream().mapToInt(this::room).max().orElseThrow();
      return decoder.start(prompts.toArray(int[][]::new), steps);
    }

    List<GenerationResult> generate() {
      long seed = config.seed().orElseGet(() -> new Random().nextLong());
      List<Row> all = new ArrayList<>();
      for (int i = 0; i < prompts.size(); i++) {
        all.add(new Row(i, seed));
      }
      List<Row> live = new ArrayList<>(all); // one per row of the batch, finished or not
      boolean needsScores = config.doSample() || config.outputScores() || !processors.isEmpty();
      try (Sequences sequences = start()) {
        requireNumbers(sequences.logits());
        while (true) {
          int[] next = needsScores ? choose(sequences.logits(), live) : sequences.best();
          int running = 0;
          for (int i = 0; i < next.length; i++) {
            live.get(i).accept(next[i]);
            running += live.get(i).finished() ? 0 : 1;
          }
          if (running == 0) {
            break;
          }
          if (use.isClosing()) {
            live.forEach(Row::cancel);
            break;
          }
          if (4 * running <= 3 * live.size()) { // a smaller batch is worth a copy of the cache
            next = dropFinished(sequences, live, next);
          }
          sequences.append(next);
        }
      }
      return all.stream().map(Row::result).toList();
    }

    /** Without it, scores that are none would silently choose token 0. */
    private void requireNumbers(float[][] logits) {
      for (float[] row : logits) {
        for (float score : row) {
          if (Float.isNaN(score)) {
            throw new CheckpointException(
                model
                        .firstNonFinite()
                        .map(
                            tensor ->
                                "the weights of '" + tensor + "' have a value that is no number")
                        .orElse("the model's scores are no numbers, though its weights are finite")
                    + ": nothing can be generated with them. Load the weights from another copy, or"
                    + " train again with a lower learning rate");
          }
        }
      }
    }

    private int[] choose(float[][] logits, List<Row> live) {
      int[] next = new int[logits.length];
      for (int i = 0; i < next.length; i++) {
        next[i] = live.get(i).choose(logits[i]);
      }
      return next;
    }

    private int[] dropFinished(Sequences sequences, List<Row> live, int[] next) {
      int[] kept = IntStream.range(0, live.size()).filter(i -> !live.get(i).finished()).toArray();
      sequences.select(kept);
      live.removeIf(Row::finished);
      return Arrays.stream(kept).map(i -> next[i]).toArray();
    }

    List<GenerationResult> searchBeams() {
      List<BeamSearch> all = new ArrayList<>();
      for (int[] prompt : prompts) {
        all.add(new BeamSearch(prompt, config, room(prompt), eos.size(), processors, this::ends));
      }
      List<BeamSearch> live = new ArrayList<>(all);
      try (Sequences sequences = start()) {
        requireNumbers(sequences.logits());
        int rows = 1; // of each search: its beams are the same at first
        while (true) {
          float[][] scores = sequences.logProbabilities();
          for (int i = 0; i < live.size(); i++) {
            live.get(i).advance(Arrays.copyOfRange(scores, i * rows, (i + 1) * rows));
          }
          List<Integer> kept = new ArrayList<>();
          List<Integer> next = new ArrayList<>();
          for (int i = 0; i < live.size(); i++) {
            if (!live.get(i).done()) {
              int first = i * rows;
              boolean single = rows == 1;
              Arrays.stream(live.get(i).parents())
                  .forEach(parent -> kept.add(single ? first : first + parent));
              Arrays.stream(live.get(i).tokens()).forEach(next::add);
            }
          }
          if (kept.isEmpty()) {
            break;
          }
          if (use.isClosing()) {
            throw new IllegalStateException("the model was closed while it searched");
          }
          live.removeIf(BeamSearch::done);
          rows = config.numBeams();
          sequences.select(kept.stream().mapToInt(Integer::intValue).toArray());
          sequences.append(next.stream().mapToInt(Integer::intValue).toArray());
        }
      }
      return all.stream().map(this::result).toList();
    }

    private boolean ends(int[] ids) {
      return eos.contains(ids[ids.length - 1]) || !config.stopStrings().isEmpty() && stops(ids);
    }

    private boolean stops(int[] ids) {
      return textOf(ids).stopped()
          || text != null && SpecialStops.stops(config.stopStrings(), text, ids);
    }

    private TextStream textOf(int[] ids) {
      TextStream stream = new TextStream(config.stopStrings());
      if (text != null) {
        stream.append(text.decode(ids, true));
      }
      return stream;
    }

    private GenerationResult result(BeamSearch search) {
      int[] ids = search.best();
      TextStream stream = textOf(ids);
      FinishReason reason = FinishReason.LENGTH;
      if (eos.contains(ids[ids.length - 1])) {
        reason = FinishReason.EOS;
      } else if (stops(ids)) {
        reason = FinishReason.STOP_STRING;
      }
      return new GenerationResult(
          ids, stream.text(), reason, OptionalDouble.of(search.score()), List.of());
    }

    /** One sequence as it grows. */
    private final class Row {
      private final int index;
      private final int promptLength;
      private final int room;
      private final SplittableRandom random;
      private final TextStream stream = new TextStream(config.stopStrings());
      private final @Nullable StreamingDecoder pieces;
      private final @Nullable SpecialStops specialStops;
      private final List<float[]> scores = new ArrayList<>();
      private int[] ids;
      private int length;
      private @Nullable FinishReason reason;

      Row(int index, long seed) {
        this.index = index;
        int[] prompt = prompts.get(index);
        promptLength = prompt.length;
        room = room(prompt);
        ids = Arrays.copyOf(prompt, promptLength + 64);
        length = promptLength;
        random = new SplittableRandom(seed + 0x9E3779B97F4A7C15L * index);
        pieces = text == null ? null : text.streamingDecoder(true);
        specialStops = text == null ? null : SpecialStops.of(config.stopStrings(), text);
      }

      boolean finished() {
        return reason != null;
      }

      int choose(float[] logits) {
        if (finished()) {
          return ids[length - 1];
        }
        processors.apply(logits, ids, length, length - promptLength);
        if (config.outputScores()) {
          scores.add(logits);
        }
        return config.doSample()
            ? LogitsProcessors.draw(logits, random.nextDouble())
            : LogitsProcessors.best(logits);
      }

      void accept(int id) {
        if (finished()) {
          return;
        }
        if (length == ids.length) {
          ids = Arrays.copyOf(ids, 2 * length);
        }
        ids[length++] = id;
        boolean stopped = pieces != null && stream.append(pieces.append(id));
        stopped |= specialStops != null && specialStops.append(id);
        if (eos.contains(id)) {
          reason = FinishReason.EOS;
        } else if (stopped) {
          reason = FinishReason.STOP_STRING;
        } else if (length - promptLength == room) {
          reason = FinishReason.LENGTH;
        }
        if (listener != null && !listener.token(index, id, stream.take()) && reason == null) {
          reason = FinishReason.CANCELLED;
        }
        if (finished()) {
          end();
        }
      }

      void cancel() {
        if (!finished()) {
          reason = FinishReason.CANCELLED;
          end();
        }
      }

      /** Gives out what waited for more text. */
      private void end() {
        if (pieces != null && stream.append(pieces.finish()) && reason != FinishReason.EOS) {
          reason = FinishReason.STOP_STRING;
        }
        String rest = stream.takeRest();
        if (listener != null && !rest.isEmpty()) {
          listener.token(index, -1, rest);
        }
      }

      GenerationResult result() {
        FinishReason why = reason == null ? FinishReason.CANCELLED : reason;
        return new GenerationResult(
            Arrays.copyOfRange(ids, promptLength, length),
            stream.text(),
            why,
            OptionalDouble.empty(),
            scores);
      }
    }
  }
}
