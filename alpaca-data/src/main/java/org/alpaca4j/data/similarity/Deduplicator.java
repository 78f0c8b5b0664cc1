package org.alpaca4j.data.similarity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps a text only if no text kept before is too like it: Self-Instruct's filter (Y. Wang et al.,
 * 2022), usable on any list.
 *
 * <pre>{@code
 * Deduplication result = Deduplicator.builder().build().deduplicate(records, Record::instruction);
 * List<Record> distinct = result.select(records);
 * }</pre>
 *
 * <p>Likeness is ROUGE-L's F-measure with the numbers of Google's rouge_score; what scores above
 * the threshold is dropped, what scores exactly the threshold is kept. The result is that of
 * comparing one text after the other with all kept before, whatever the number of threads. Texts
 * without a token score 0 with everything and are always kept; the first of them is named in the
 * log. Texts mostly in other than Latin letters, of which rouge_score sees nothing, have tokens of
 * their scripts ({@link RougeTokens#tokenizeFitting}).
 *
 * <p>By default only pairs that could score above the threshold are compared. {@link
 * Builder#mostSimilar} asks for all pairs' scores.
 *
 * <p>Immutable and thread-safe, if its tokenizer and progress listener are.
 */
public final class Deduplicator {
  private static final Logger log = LoggerFactory.getLogger(Deduplicator.class);

  /** Texts compared in parallel with what was kept before them; then with one another in turn. */
  private static final int BLOCK = 256;

  private final double threshold;
  private final List<String> seeds;
  private final @Nullable Comparator<? super String> order;
  private final Function<String, List<String>> tokenizer;
  private final int mostSimilar;
  private final int threads;
  private final IntConsumer progress;

  private Deduplicator(Builder builder) {
    threshold = builder.threshold;
    seeds = builder.seeds;
    order = builder.order;
    tokenizer = builder.tokenizer;
    mostSimilar = builder.mostSimilar;
    threads = builder.threads;
    progress = builder.progress;
  }

  /** Returns a builder with the defaults of Self-Instruct. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Finds out which texts to keep.
   *
   * @param texts the texts, in the order in which they are considered unless {@link Builder#order}
   *     says otherwise
   */
  public Deduplication deduplicate(List<String> texts) {
    Objects.requireNonNull(texts, "texts is null");
    List<int[]> tokens = numbers(List.of(seeds, texts));
    TextIndex index = mostSimilar > 0 ? new AllPairsIndex() : new NearDuplicateIndex(threshold);
    tokens.subList(0, seeds.size()).forEach(index::add);
    Selection selection = new Selection(index, seeds.size());
    int[] order = order(texts);
    ForkJoinPool pool = new ForkJoinPool(threads);
    try {
      for (int done = 0; done < order.length; done += BLOCK) {
        int[] block = Arrays.copyOfRange(order, done, Math.min(done + BLOCK, order.length));
        int before = index.size();
        Tally[] tallies = new Tally[block.length];
        inParallel(
            pool,
            block.length,
            i -> {
              tallies[i] = new Tally(Math.max(1, mostSimilar));
              index.compare(tokens.get(seeds.size() + block[i]), 0, tallies[i]);
            });
        for (int i = 0; i < block.length; i++) {
          int[] text = tokens.get(seeds.size() + block[i]);
          index.compare(text, before, tallies[i]);
          selection.decide(block[i], text, tallies[i]);
        }
        progress.accept(done + block.length);
      }
    } finally {
      pool.shutdown();
    }
    return selection.result();
  }

  /**
   * Finds out which records to keep by their texts; {@link Deduplication#select} then gives them.
   *
   * @param records the records, in the order in which they are considered
   * @param text gives a record's text
   */
  public <T> Deduplication deduplicate(List<T> records, Function<? super T, String> text) {
    Objects.requireNonNull(records, "records is null");
    Objects.requireNonNull(text, "text is null");
    return deduplicate(records.stream().<String>map(text).toList());
  }

  /**
   * Finds the evaluation texts that are too like a training text. Threshold, tokenizer and threads
   * are those of this object; its other options make no difference.
   *
   * @param train the training texts
   * @param evaluation the evaluation texts
   */
  public ContaminationReport contamination(List<String> train, List<String> evaluation) {
    Objects.requireNonNull(train, "train is null");
    Objects.requireNonNull(evaluation, "evaluation is null");
    List<int[]> tokens = numbers(List.of(train, evaluation));
    NearDuplicateIndex index = new NearDuplicateIndex(threshold);
    tokens.subList(0, train.size()).forEach(index::add);
    Tally[] tallies = new Tally[evaluation.size()];
    ForkJoinPool pool = new ForkJoinPool(threads);
    try {
      inParallel(
          pool,
          tallies.length,
          i -> {
            tallies[i] = new Tally(1);
            index.compare(tokens.get(train.size() + i), 0, tallies[i]);
          });
    } finally {
      pool.shutdown();
    }
    List<Duplicate> found = new ArrayList<>();
    for (int i = 0; i < tallies.length; i++) {
      if (!tallies[i].isEmpty()) {
        found.add(new Duplicate(i, tallies[i].best(), tallies[i].max()));
      }
    }
    return new ContaminationReport(train.size(), evaluation.size(), threshold, found);
  }

  /** What was decided so far. */
  private final class Selection {
    private final TextIndex index;
    private final List<Integer> numbers = new ArrayList<>(); // by place in the index
    private final List<Duplicate> dropped = new ArrayList<>();
    private final List<Kept> kept = new ArrayList<>();

    private record Kept(int index, @Nullable Similarities similarities) {}

    Selection(TextIndex index, int seeds) {
      this.index = index;
      IntStream.range(0, seeds).forEach(numbers::add);
    }

    void decide(int text, int[] tokens, Tally tally) {
      if (tally.max() > threshold) {
        dropped.add(new Duplicate(text, numbers.get(tally.best()), tally.max()));
        return;
      }
      kept.add(new Kept(text, mostSimilar > 0 ? similarities(tally) : null));
      numbers.add(seeds.size() + text);
      index.add(tokens);
    }

    private Similarities similarities(Tally tally) {
      return new Similarities(
          tally.max(),
          index.size() == 0 ? 0 : tally.sum() / index.size(),
          tally.mostSimilar(mostSimilar).stream()
              .map(similar -> new Similarity(numbers.get(similar.index()), similar.score()))
              .toList());
    }

    Deduplication result() {
      dropped.sort(Comparator.comparingInt(Duplicate::index));
      kept.sort(Comparator.comparingInt(Kept::index));
      List<Similarities> similarities = new ArrayList<>();
      for (Kept text : kept) {
        if (text.similarities != null) {
          similarities.add(text.similarities);
        }
      }
      return new Deduplication(
          seeds.size(), kept.stream().map(Kept::index).toList(), dropped, similarities);
    }
  }

  /** All texts as numbers of tokens, one list after the other. */
  private List<int[]> numbers(List<List<String>> lists) {
    Vocabulary vocabulary = new Vocabulary();
    List<int[]> numbers = new ArrayList<>();
    int wordless = 0;
    String first = "";
    for (List<String> texts : lists) {
      for (String text : texts) {
        List<String> tokens = tokenizer.apply(text);
        if (tokens.isEmpty() && text.codePoints().anyMatch(Character::isLetterOrDigit)) {
          first = wordless++ == 0 ? text : first;
        }
        numbers.add(vocabulary.add(tokens));
      }
    }
    if (wordless > 0) {
      log.warn(
          "the tokenizer finds no word in {} texts, such as \"{}\": they are like no other, and are"
              + " kept; RougeTokens::tokenizeFitting finds words in any script",
          wordless,
          first.length() <= 60 ? first : first.substring(0, 60) + "…");
    }
    Vocabulary.numberByFrequency(numbers, vocabulary.size());
    return numbers;
  }

  private int[] order(List<String> texts) {
    IntStream indexes = IntStream.range(0, texts.size());
    if (order == null) {
      return indexes.toArray();
    }
    return indexes
        .boxed()
        .sorted(Comparator.comparing(texts::get, order))
        .mapToInt(Integer::intValue)
        .toArray();
  }

  /** Parallel streams run in the pool whose thread starts them. */
  private static void inParallel(ForkJoinPool pool, int count, IntConsumer body) {
    pool.submit(() -> IntStream.range(0, count).parallel().forEach(body)).join();
  }

  /** Options of a {@link Deduplicator}. Not thread-safe. */
  public static final class Builder {
    private double threshold = 0.7;
    private List<String> seeds = List.of();
    private @Nullable Comparator<? super String> order;
    private Function<String, List<String>> tokenizer = RougeTokens::tokenizeFitting;
    private int mostSimilar;
    private int threads = Runtime.getRuntime().availableProcessors();
    private IntConsumer progress = done -> {};

    private Builder() {}

    /**
     * Sets the score above which a text is dropped, 0 to 1.
     *
     * @param threshold default 0.7
     */
    public Builder threshold(double threshold) {
      this.threshold = threshold;
      return this;
    }

    /**
     * Sets texts that count as kept before all others, and are not part of the result.
     *
     * @param seeds default none
     */
    public Builder seeds(List<String> seeds) {
      Objects.requireNonNull(seeds, "seeds is null");
      this.seeds = List.copyOf(seeds);
      return this;
    }

    /**
     * Sets which text is considered first, and so kept: with {@code
     * Comparator.comparingInt(String::length).reversed()} the longest of several that are alike.
     * Equal texts are considered in the order given.
     *
     * @param order default the order given
     */
    public Builder order(Comparator<? super String> order) {
      Objects.requireNonNull(order, "order is null");
      this.order = order;
      return this;
    }

    /**
     * Sets what the tokens of a text are.
     *
     * @param tokenizer pure and thread-safe; default {@link RougeTokens#tokenizeFitting}, which is
     *     rouge_score's {@link RougeTokens#tokenize} for texts in Latin letters
     */
    public Builder tokenizer(Function<String, List<String>> tokenizer) {
      Objects.requireNonNull(tokenizer, "tokenizer is null");
      this.tokenizer = tokenizer;
      return this;
    }

    /**
     * Asks for the scores of all pairs: the average of each text kept, and so many of the most
     * similar texts. Takes longer.
     *
     * @param mostSimilar default 0: no scores but those of the texts dropped; Self-Instruct has 10
     */
    public Builder mostSimilar(int mostSimilar) {
      this.mostSimilar = mostSimilar;
      return this;
    }

    /**
     * Sets the number of threads.
     *
     * @param threads default the number of processors
     */
    public Builder threads(int threads) {
      this.threads = threads;
      return this;
    }

    /**
     * Sets what hears of the progress: the number of texts decided so far, called now and then by
     * the thread that deduplicates.
     *
     * @param progress default nobody
     */
    public Builder progress(IntConsumer progress) {
      Objects.requireNonNull(progress, "progress is null");
      this.progress = progress;
      return this;
    }

    /**
     * Returns the deduplicator.
     *
     * @throws IllegalArgumentException if an option is out of its range; the message names it
     */
    public Deduplicator build() {
      if (!(threshold >= 0 && threshold <= 1)) {
        throw new IllegalArgumentException("threshold must be from 0 to 1: " + threshold);
      }
      if (mostSimilar < 0) {
        throw new IllegalArgumentException("mostSimilar must not be negative: " + mostSimilar);
      }
      if (threads < 1) {
        throw new IllegalArgumentException("threads must be at least 1: " + threads);
      }
      return new Deduplicator(this);
    }
  }
}
