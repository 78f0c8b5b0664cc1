package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.GenerationConfig.Builder;
import org.alpaca4j.core.GenerationConfig.EarlyStopping;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Another value of an option makes another text: no option is read by nothing. */
class GenerationOptionTraceTest {
  private static final int[] PROMPT = {5, 9, 5, 9, 5};
  private static final Map<String, UnaryOperator<Builder>> FROM = new TreeMap<>();
  private static final Map<String, UnaryOperator<Builder>> TO = new TreeMap<>();

  static {
    UnaryOperator<Builder> sampling = b -> b.doSample(true).seed(3).maxNewTokens(12);
    UnaryOperator<Builder> beams = b -> b.numBeams(4).maxNewTokens(12);
    UnaryOperator<Builder> greedy = b -> b.maxNewTokens(12);
    option("maxNewTokens", greedy, b -> b.maxNewTokens(3));
    option("maxLength", b -> b.maxLength(12), b -> b.maxLength(9));
    option("minNewTokens", b -> b.maxNewTokens(12).eosTokenIds(all()), b -> b.minNewTokens(1));
    option("doSample", b -> b.maxNewTokens(12), b -> b.doSample(true).temperature(9).seed(1));
    option("temperature", sampling, b -> b.temperature(20));
    option("topK", sampling, b -> b.topK(1));
    option("topP", sampling, b -> b.topP(0.001));
    option("minP", sampling, b -> b.minP(1));
    option("repetitionPenalty", greedy, b -> b.repetitionPenalty(100));
    option("noRepeatNgramSize", greedy, b -> b.noRepeatNgramSize(1));
    option("numBeams", greedy, b -> b.numBeams(3));
    option("lengthPenalty", beams, b -> b.lengthPenalty(-3));
    option("eosTokenIds", greedy, b -> b.eosTokenIds(all()));
    option("stopStrings", greedy, b -> b.stopStrings(texts()));
    option("seed", sampling, b -> b.seed(4));
    option("outputScores", greedy, b -> b.outputScores(true));
  }

  /** What beams stop at needs a search of its own, see BeamSearch's tests; pads are never seen. */
  private static final Set<String> ELSEWHERE = Set.of("earlyStopping", "padTokenId");

  private static void option(String name, UnaryOperator<Builder> from, UnaryOperator<Builder> to) {
    FROM.put(name, from);
    TO.put(name, to);
  }

  private static List<Integer> all() {
    return IntStream.range(0, TinyModel.VOCABULARY).boxed().toList();
  }

  private static List<String> texts() {
    return IntStream.range(33, 0x800).mapToObj(Character::toString).toList();
  }

  @TempDir Path folder;
  private CausalLm model;

  @BeforeEach
  void load() {
    model = CausalLm.load(TinyModel.write(folder.resolve("tiny")));
  }

  @AfterEach
  void close() {
    model.close();
  }

  @Test
  void everyOptionIsLookedAt() {
    Set<String> looked = new TreeSet<>(TO.keySet());
    looked.addAll(ELSEWHERE);
    assertThat(looked)
        .isEqualTo(
            Arrays.stream(Builder.class.getMethods())
                .filter(method -> method.getReturnType() == Builder.class)
                .map(Method::getName)
                .collect(Collectors.toCollection(TreeSet::new)));
    assertThat(EarlyStopping.values()).hasSize(3);
  }

  @TestFactory
  Stream<DynamicTest> anotherValueMakesAnotherText() {
    return TO.keySet().stream()
        .map(
            name ->
                DynamicTest.dynamicTest(
                    name,
                    () -> {
                      UnaryOperator<Builder> from = FROM.get(name);
                      Builder base = from.apply(builder());
                      Builder other = TO.get(name).apply(from.apply(builder()));
                      assertThat(trace(other.build())).isNotEqualTo(trace(base.build()));
                    }));
  }

  private static Builder builder() {
    return GenerationConfig.builder().eosTokenIds(List.of());
  }

  private String trace(GenerationConfig config) {
    GenerationResult result = model.generator().generate(PROMPT, config);
    return Arrays.toString(result.ids())
        + result.finishReason()
        + result.text()
        + result.score()
        + result.scores().size();
  }
}
