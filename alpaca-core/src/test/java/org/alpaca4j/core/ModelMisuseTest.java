package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.UnaryOperator;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.torch.Tensors;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Folders and calls that are not as they should be: taken where that is clear, else named. */
class ModelMisuseTest {
  private static final int[] PROMPT = {5, 6, 7};

  @TempDir Path folder;
  private Path base;

  @BeforeEach
  void writeModel() {
    base = TinyModel.write(folder.resolve("base"));
  }

  @Test
  void aClosedModelSaysSo() {
    CausalLm model = CausalLm.load(base);
    Generator generator = model.generator();
    model.close();
    List<ThrowingCallable> calls =
        List.of(
            () -> model.chat("hello"),
            () -> model.generator(),
            () -> generator.generate(PROMPT),
            () -> generator.prepare(),
            () -> model.save(folder.resolve("saved")));
    for (ThrowingCallable call : calls) {
      assertThatThrownBy(call)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("the model of " + base + " is closed");
    }
    assertThat(folder.resolve("saved")).doesNotExist();
  }

  @Test
  void closingEndsAGenerationOfAnotherThreadAsIfCancelled() throws Exception {
    GenerationConfig endless =
        GenerationConfig.builder().maxNewTokens(1_000_000).eosTokenIds(List.of()).build();
    CausalLm model = CausalLm.load(base);
    CountDownLatch begun = new CountDownLatch(1);
    ExecutorService other = Executors.newSingleThreadExecutor();
    try {
      Future<GenerationResult> running =
          other.submit(
              () ->
                  model
                      .generator()
                      .generate(
                          PROMPT,
                          endless,
                          (sequence, id, text) -> {
                            begun.countDown();
                            return true;
                          }));
      begun.await();
      model.close();
      assertThat(running.get().finishReason()).isEqualTo(FinishReason.CANCELLED);
    } finally {
      other.shutdownNow();
    }
  }

  @Test
  void closingFromAListenerEndsItsOwnGeneration() {
    GenerationConfig config =
        GenerationConfig.builder().maxNewTokens(50).eosTokenIds(List.of()).build();
    CausalLm model = CausalLm.load(base);
    GenerationResult result =
        model
            .generator()
            .generate(
                PROMPT,
                config,
                (sequence, id, text) -> {
                  model.close();
                  return true;
                });
    assertThat(result.finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(result.ids()).hasSize(1);
    assertThatThrownBy(model::generator).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void scoresThatAreNoNumbersNameTheTensor() {
    try (CausalLm model = CausalLm.load(base)) {
      Tensors.fillNormal(
          Internals.loaded(model).layer(1).flat(UnitLayout.DECAYED), Double.POSITIVE_INFINITY, 1);
      assertThatThrownBy(() -> model.generator().generate(PROMPT))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("model.layers.1.");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"module.", "base_model.model.", "_orig_mod.module."})
  void namesThatAWrapperHasPrefixedAreUnderstood(String prefix) {
    compareRenamed(name -> prefix + name);
  }

  @Test
  void namesOfTheInnerModelAloneAreUnderstood() {
    compareRenamed(name -> name.replaceFirst("^model\\.", ""));
  }

  @Test
  void anotherPrefixIsNotGuessed() {
    Path renamed = renamed(name -> "student." + name);
    assertThatThrownBy(() -> CausalLm.load(renamed))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("student.model.");
  }

  private void compareRenamed(UnaryOperator<String> rename) {
    try (CausalLm expected = CausalLm.load(base);
        CausalLm model = CausalLm.load(renamed(rename))) {
      assertThat(model.generator().generate(PROMPT).ids())
          .isEqualTo(expected.generator().generate(PROMPT).ids());
      Path saved = folder.resolve("saved");
      model.save(saved);
      try (Checkpoint checkpoint = Checkpoint.open(saved)) {
        assertThat(checkpoint.names()).contains("model.embed_tokens.weight");
      }
    }
  }

  private Path renamed(UnaryOperator<String> rename) {
    Path copy = folder.resolve("renamed");
    try (Checkpoint checkpoint = Checkpoint.open(base)) {
      CheckpointWriter.Builder writer = CheckpointWriter.builder(copy).config(checkpoint.config());
      Map<String, String> names = new HashMap<>();
      for (String name : checkpoint.names()) {
        names.put(rename.apply(name), name);
        TensorInfo tensor = checkpoint.tensor(name);
        writer.tensor(rename.apply(name), tensor.dtype(), tensor.shape());
      }
      writer.build().write((name, out) -> checkpoint.copyTo(names.get(name), out));
    }
    return copy;
  }

  @Test
  void aTypeOfAutoIsThatOfTheFile() throws IOException {
    Path config = base.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceFirst("\\{", "{\"torch_dtype\": \"auto\",")
            .replaceFirst("\"dtype\" ?: ?\"\\w+\",", ""));
    assertThat(ModelConfig.load(config).dtype()).isEmpty();
    try (CausalLm model = CausalLm.load(base)) {
      model.save(folder.resolve("saved"));
    }
    assertThat(ModelConfig.load(folder.resolve("saved/config.json")).dtype()).contains(DType.F32);
  }

  @Test
  void endTokensOutsideTheVocabularyNeverCome() throws IOException {
    Files.writeString(
        base.resolve("generation_config.json"),
        "{\"eos_token_id\": [2, 100000, -1], \"min_new_tokens\": 2, \"max_new_tokens\": 4}");
    try (CausalLm model = CausalLm.load(base)) {
      assertThat(model.generator().generate(PROMPT).ids()).hasSizeBetween(2, 4);
    }
  }

  @Test
  void aFolderWithSentencePieceAloneIsAskedStoppedAndSaved() throws IOException {
    Files.delete(base.resolve("tokenizer.json"));
    Files.delete(base.resolve("tokenizer_config.json"));
    Files.write(base.resolve("tokenizer.model"), SentencePieceModels.hello().toBytes());
    Path saved = folder.resolve("saved");
    PromptTemplate form = PromptTemplate.of("{instruction}{input}", "{instruction}");
    String text;
    try (CausalLm model = CausalLm.load(base)) {
      model.usePromptForm(form);
      GenerationConfig config = GenerationConfig.builder().eosTokenIds(List.of()).build();
      GenerationResult all =
          model.chat(List.of(ChatMessage.user("hello")), config, (sequence, id, piece) -> true);
      text = all.text();
      assertThat(text).isNotEmpty();
      GenerationConfig stopping =
          config.toBuilder().stopStrings(List.of(text.substring(0, 1))).build();
      assertThat(
              model
                  .chat(List.of(ChatMessage.user("hello")), stopping, (sequence, id, piece) -> true)
                  .finishReason())
          .isEqualTo(FinishReason.STOP_STRING);
      model.save(saved);
    }
    assertThat(saved.resolve("tokenizer.model")).exists();
    assertThat(saved.resolve("tokenizer.json")).exists();
    try (CausalLm model = CausalLm.load(saved)) {
      assertThat(model.promptForm()).contains(form);
      assertThat(model.tokenizer().encodeIds("hello", true)).isNotEmpty();
    }
  }

  @Test
  void aStopStringThatIsASpecialTokenStops() {
    try (CausalLm model = CausalLm.load(base)) {
      GenerationConfig free =
          GenerationConfig.builder().maxNewTokens(40).eosTokenIds(List.of()).build();
      int[] ids = model.generator().generate(PROMPT, free).ids();
      String token = model.tokenizer().idToToken(264);
      GenerationConfig forced = free.toBuilder().stopStrings(List.of(token)).build();

      SpecialStops stops = SpecialStops.of(List.of(token, "x"), model.tokenizer());
      assertThat(stops).isNotNull();
      assertThat(stops.append(ids[0])).isFalse();
      assertThat(stops.append(264)).isTrue();
      assertThat(SpecialStops.of(List.of("x"), model.tokenizer())).isNull();
      assertThat(SpecialStops.stops(List.of(token + "a"), model.tokenizer(), new int[] {264, 100}))
          .isTrue();
      assertThat(model.generator().generate(PROMPT, forced).ids()).isNotEmpty();
    }
  }

  @Test
  void nullIsRefusedByName() {
    try (CausalLm model = CausalLm.load(base)) {
      assertThatThrownBy(() -> model.chat((String) null)).hasMessage("prompt is null");
      assertThatThrownBy(() -> model.chat((List<ChatMessage>) null)).hasMessage("messages is null");
      assertThatThrownBy(() -> model.usePromptForm(null)).hasMessage("form is null");
      assertThatThrownBy(() -> model.generator().generate((int[]) null))
          .isInstanceOf(NullPointerException.class);
      assertThatThrownBy(() -> model.generator().generate(PROMPT, null))
          .hasMessage("config is null");
      assertThatThrownBy(() -> model.tokenizer().encode(null)).hasMessage("text is null");
      assertThatThrownBy(() -> model.tokenizer().decode(null, true)).hasMessage("ids is null");
    }
    assertThatThrownBy(() -> CausalLm.load((Path) null)).hasMessage("folder is null");
    assertThatThrownBy(() -> CausalLm.builder(base).device(null)).hasMessage("device is null");
    assertThatThrownBy(() -> Tokenizer.load((Path) null)).hasMessage("path is null");
    assertThatThrownBy(() -> ChatMessage.user(null)).hasMessage("content is null");
    assertThatThrownBy(() -> PromptTemplate.ALPACA.render(null, "x"))
        .hasMessage("instruction is null");
    assertThatThrownBy(() -> ChatTemplate.of(null)).hasMessage("jinja is null");
  }
}
