package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenCacheTest {

  private static final List<InstructionRecord> RECORDS =
      IntStream.range(0, 700)
          .mapToObj(i -> InstructionRecord.of("say " + i, "it is " + i))
          .toList();

  @TempDir Path folder;
  private final Tokenizer tokenizer = TestTokenizer.load();

  @AfterEach
  void close() {
    tokenizer.close();
  }

  @Test
  void givesTheSameExamplesAsADatasetInMemory() throws IOException {
    SupervisedDataset inMemory = builder().records(RECORDS).build();
    SupervisedDataset written = cached(RECORDS);
    SupervisedDataset readAgain = cached(RECORDS);

    assertThat(files()).hasSize(1);
    for (SupervisedDataset dataset : List.of(written, readAgain)) {
      assertThat(dataset.report()).isEqualTo(inMemory.report());
      assertThat(all(dataset)).isEqualTo(all(inMemory));
      assertThat(dataset.length(699)).isEqualTo(inMemory.length(699));
      assertThat(dataset.supervisedTokens(3)).isEqualTo(inMemory.supervisedTokens(3));
      assertThat(all(dataset.splitByRatio(0.1, 5).eval()))
          .isEqualTo(all(inMemory.splitByRatio(0.1, 5).eval()));
    }
  }

  @Test
  void readsTheRecordsOnceWhenTheTokensAreThere() {
    AtomicInteger passes = new AtomicInteger();
    RecordSource<InstructionRecord> source =
        () -> {
          passes.incrementAndGet();
          return RECORDS.stream();
        };
    builder().source(source).cache(folder).build();
    assertThat(passes.getAndSet(0)).isEqualTo(2);

    builder().source(source).cache(folder).build();
    assertThat(passes).hasValue(1);
  }

  @Test
  void isAnotherFileForOtherRecordsOrOptions() throws IOException {
    cached(RECORDS);
    List<InstructionRecord> changed = new ArrayList<>(RECORDS);
    changed.set(699, InstructionRecord.of("say 699", "no"));
    cached(changed);
    cached(RECORDS.subList(0, 699));
    builder().records(RECORDS).maxLength(400).cache(folder).build();
    SupervisedDataset.builder()
        .tokenizer(tokenizer)
        .maxLength(500)
        .mode(SupervisedDataset.Mode.SEGMENTS)
        .template(PromptTemplate.of("{instruction} {input}", "{instruction}"))
        .records(RECORDS)
        .cache(folder)
        .build();

    assertThat(files()).hasSize(5);
  }

  @Test
  void isMadeAnewWhenAnyByteIsDamaged() throws IOException {
    List<SupervisedExample> examples = all(cached(RECORDS));
    Path file = files().get(0);
    byte[] good = Files.readAllBytes(file);
    for (int at : new int[] {0, 20, 60, good.length / 2, good.length - 30, good.length - 1}) {
      byte[] bad = good.clone();
      bad[at] ^= 1;
      Files.write(file, bad);

      assertThat(all(cached(RECORDS))).isEqualTo(examples);
      assertThat(Files.readAllBytes(file)).isEqualTo(good);
    }
    for (int length : new int[] {0, 10, 100, good.length - 1}) {
      Files.write(file, Arrays.copyOf(good, length));

      assertThat(all(cached(RECORDS))).isEqualTo(examples);
      assertThat(Files.readAllBytes(file)).isEqualTo(good);
    }
  }

  @Test
  void leavesNothingBehindWhenARecordFails() throws IOException {
    AtomicInteger passes = new AtomicInteger();
    RecordSource<InstructionRecord> source =
        () ->
            passes.incrementAndGet() == 1
                ? RECORDS.stream()
                : RECORDS.stream()
                    .peek(
                        r -> {
                          if (r.instruction().equals("say 650")) {
                            throw new DataException("broken");
                          }
                        });

    assertThatThrownBy(() -> builder().source(source).cache(folder).build())
        .isInstanceOf(DataException.class)
        .hasMessage("broken");
    assertThat(files()).isEmpty();
  }

  @Test
  void keepsLargeIdsAndSeveralSpans() {
    int[] ids = {70_000, 1, 2, 3, 65_536};
    int[] labels = {-100, 1, -100, 3, 65_536};
    TokenPage.Builder page = new TokenPage.Builder();
    page.add(4, new SupervisedExample(new int[] {5}, new int[] {5}));
    page.add(9, new SupervisedExample(ids, labels));
    TokenPage built = page.build();

    assertThat(built.example(1)).isEqualTo(new SupervisedExample(ids, labels));
    assertThat(built.supervisedTokens(1)).isEqualTo(3);
    assertThat(built.supervisedTokens(0)).isZero();
    assertThat(built.recordIndex(1)).isEqualTo(9);
    assertThat(new TokenPage(built.bytes()).example(1)).isEqualTo(built.example(1));
  }

  @Test
  void keepsTheSequencesOfExamplesAndTheirCommonBeginningsOnce() {
    Random random = new Random(7);
    List<SupervisedExample> examples = new ArrayList<>();
    TokenPage.Builder builder = new TokenPage.Builder();
    for (int e = 0; e < 200; e++) {
      List<SupervisedExample> sequences = new ArrayList<>();
      for (int k = random.nextInt(4); k >= 0; k--) {
        int[] ids = random.ints(1 + random.nextInt(9), 0, 2).toArray();
        int[] labels = Arrays.stream(ids).map(id -> random.nextBoolean() ? id : -100).toArray();
        sequences.add(new SupervisedExample(ids, labels));
      }
      examples.add(SupervisedExample.of(sequences));
      builder.add(e, examples.get(e));
    }
    TokenPage page = new TokenPage(builder.build().bytes());

    for (int e = 0; e < examples.size(); e++) {
      SupervisedExample example = examples.get(e);
      assertThat(page.example(e)).isEqualTo(example);
      assertThat(page.sequences(e)).isEqualTo(example.starts().length);
      assertThat(page.longestSequence(e)).isEqualTo(example.longestSequence());
      assertThat(page.supervisedTokens(e)).isEqualTo(example.supervisedTokens());
      assertThat(page.length(e)).isBetween(example.starts().length, example.length());
    }
  }

  private SupervisedDataset.Builder builder() {
    return SupervisedDataset.builder().tokenizer(tokenizer);
  }

  private SupervisedDataset cached(List<InstructionRecord> records) {
    return builder().records(records).cache(folder).build();
  }

  private static List<SupervisedExample> all(SupervisedDataset dataset) {
    return IntStream.range(0, dataset.size()).mapToObj(dataset::get).toList();
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
