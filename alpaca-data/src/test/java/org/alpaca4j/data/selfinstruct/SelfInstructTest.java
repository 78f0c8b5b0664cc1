package org.alpaca4j.data.selfinstruct;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.alpaca4j.data.DataException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SelfInstructTest {
  private static final List<SeedTask> SEEDS = ScriptedReplies.seedTasks(20);

  @TempDir Path folder;

  /** Answers by a function, and keeps what it was asked. */
  private static class ScriptedModel implements InstructionModel {
    final List<ModelRequest> asked = new ArrayList<>();
    final Function<ModelRequest, ModelReply> answers;
    int failAt = Integer.MAX_VALUE;

    ScriptedModel(Function<ModelRequest, ModelReply> answers) {
      this.answers = answers;
    }

    @Override
    public String name() {
      return "scripted";
    }

    @Override
    public void complete(List<ModelRequest> requests, Consumer<ModelReply> replies) {
      for (ModelRequest request : requests) {
        if (asked.size() == failAt) {
          throw new InstructionModelException("out of order");
        }
        asked.add(request);
        replies.accept(answers.apply(request));
      }
    }
  }

  private final ScriptedModel model = new ScriptedModel(ScriptedReplies::reply);

  @Test
  void generatesUntilThereAreEnough() throws IOException {
    SelfInstructReport report = pipeline(folder).build().run();

    assertThat(report.end()).isEqualTo(SelfInstructReport.End.COMPLETE);
    assertThat(report.instructions()).isGreaterThanOrEqualTo(30).isEqualTo(report.kept());
    assertThat(report.requests()).isEqualTo(model.asked.size()).isEqualTo(report.newRequests());
    assertThat(report.usage())
        .isEqualTo(new TokenUsage(100L * model.asked.size(), 10L * model.asked.size()));
    assertThat(report.dropped())
        .containsKeys(DropReason.UNSUITABLE_WORD, DropReason.TOO_SHORT, DropReason.TOO_SIMILAR);
    assertThat(report.cost().orElseThrow())
        .isEqualTo((100.0 * model.asked.size() * 2 + 10.0 * model.asked.size() * 3) / 1e6);
    assertThat(RegenFile.count(folder)).isEqualTo(report.instructions());
    assertThat(report.toText()).contains("too similar", "completion tokens");
  }

  @Test
  void everyPromptShowsOtherSeedTasks() {
    pipeline(folder).build().run();
    assertThat(model.asked).extracting(ModelRequest::prompt).doesNotHaveDuplicates();
    assertThat(model.asked.get(0).prompt())
        .startsWith("You write tasks.\n###\n1. Instruction: ")
        .endsWith("###\n4. Instruction:");
  }

  @Test
  void aRunThatFailsGoesOnWithoutAskingAgain() throws IOException {
    Path undisturbed = folder.resolve("undisturbed");
    pipeline(undisturbed).build().run();
    int needed = model.asked.size();

    Path disturbed = folder.resolve("disturbed");
    Set<Long> asked = new HashSet<>();
    for (int failAt = 1; ; failAt++) {
      model.asked.clear();
      model.failAt = failAt;
      try {
        pipeline(disturbed).build().run();
      } catch (InstructionModelException e) {
        assertThat(model.asked).allSatisfy(r -> assertThat(asked.add(r.number())).isTrue());
        continue;
      }
      model.asked.forEach(r -> assertThat(asked.add(r.number())).isTrue());
      break;
    }
    assertThat(asked).hasSize(needed);
    assertThat(disturbed.resolve("regen.json"))
        .hasSameBinaryContentAs(undisturbed.resolve("regen.json"));
  }

  @Test
  void aFinishedRunAsksForNothing() throws IOException {
    pipeline(folder).build().run();
    byte[] first = Files.readAllBytes(folder.resolve("regen.json"));
    Files.delete(folder.resolve("regen.json"));
    model.failAt = model.asked.size();
    SelfInstructReport again = pipeline(folder).build().run();
    assertThat(again.newRequests()).isZero();
    assertThat(Files.readAllBytes(folder.resolve("regen.json"))).isEqualTo(first);
  }

  @Test
  void moreInstructionsAreAddedToThoseThatThereAre() throws IOException {
    pipeline(folder).build().run();
    int first = RegenFile.count(folder);
    SelfInstructReport more = pipeline(folder).numInstructions(first + 5).build().run();
    assertThat(more.instructions()).isGreaterThanOrEqualTo(first + 5);
    assertThat(pipeline(folder).numInstructions(1).build().run().instructions())
        .isEqualTo(more.instructions());
  }

  @Test
  void aHalfWrittenReplyIsAskedForAgain() throws IOException {
    pipeline(folder).build().run();
    byte[] expected = Files.readAllBytes(folder.resolve("regen.json"));
    Path journal = folder.resolve("replies.jsonl");
    byte[] bytes = Files.readAllBytes(journal);
    Files.write(journal, Arrays.copyOf(bytes, bytes.length - 10));
    model.asked.clear();
    pipeline(folder).build().run();
    assertThat(model.asked).hasSize(1);
    assertThat(Files.readAllBytes(folder.resolve("regen.json"))).isEqualTo(expected);
    assertThat(Files.readAllBytes(journal)).isEqualTo(bytes);
  }

  @Test
  void anEarlierFileIsContinued() throws IOException {
    String known = ScriptedReplies.seedTasks(30).get(29).instruction();
    Files.writeString(
        folder.resolve("regen.json"), "[{\"instruction\": \"" + known + "\", \"extra\": [1.5]}]");
    for (int run = 0; run < 2; run++) {
      SelfInstructReport report = pipeline(folder).build().run();
      assertThat(report.instructions()).isEqualTo(report.kept() + 1);
      assertThat(folder.resolve("regen.json"))
          .content()
          .startsWith(
              "[\n    {\n        \"instruction\": \"%s\",\n".formatted(known)
                  + "        \"extra\": [\n            1.5\n        ]\n    },\n");
    }
  }

  @Test
  void repliesToOtherPromptsAreRefused() {
    pipeline(folder).build().run();
    assertThatThrownBy(() -> pipeline(folder).seed(43).build().run())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("replies.jsonl, line 1")
        .hasMessageContaining("seed = 42, not 43");
  }

  @Test
  void aDamagedReplyIsNamed() throws IOException {
    pipeline(folder).build().run();
    Files.writeString(
        folder.resolve("replies.jsonl"), "{\"request\": 7}\n", StandardOpenOption.APPEND);
    assertThatThrownBy(() -> pipeline(folder).build().run())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("replies.jsonl, line " + (model.asked.size() + 2));
  }

  @Test
  void aModelThatBringsNothingIsNotAskedForEver() {
    ScriptedModel silent =
        new ScriptedModel(r -> new ModelReply(r.number(), "", null, TokenUsage.NONE));
    SelfInstructReport report = pipeline(folder).model(silent).maxFruitlessRounds(3).build().run();
    assertThat(report.end()).isEqualTo(SelfInstructReport.End.FRUITLESS);
    assertThat(silent.asked).hasSize(15);
    assertThat(folder.resolve("regen.json")).hasContent("[]");
  }

  @Test
  void requestsAreLimited() {
    SelfInstructReport report = pipeline(folder).maxRequests(12).build().run();
    assertThat(report.end()).isEqualTo(SelfInstructReport.End.MAX_REQUESTS);
    assertThat(model.asked).hasSize(10);
  }

  @Test
  void oneRunAtATimeWritesToAFolder() {
    ScriptedModel nested =
        new ScriptedModel(
            request -> {
              assertThatThrownBy(() -> pipeline(folder).build().run())
                  .hasMessageContaining("another run");
              return ScriptedReplies.reply(request);
            });
    pipeline(folder).model(nested).maxRequests(5).build().run();
    assertThat(nested.asked).hasSize(5);
  }

  @Test
  void leavesNothingElseInItsFolder() throws IOException {
    pipeline(folder).build().run();
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.map(f -> f.getFileName().toString()))
          .containsExactlyInAnyOrder("regen.json", "replies.jsonl");
    }
  }

  @Test
  void refusesTooFewSeedTasks() {
    assertThatThrownBy(() -> pipeline(folder).numPromptInstructions(21).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("seedTasks has 20")
        .hasMessageContaining("numPromptInstructions = 21");
  }

  private SelfInstruct.Builder pipeline(Path output) {
    return SelfInstruct.builder()
        .seedTasks(SEEDS)
        .prompt(InstructionPrompt.of("You write tasks."))
        .model(model)
        .outputDirectory(output)
        .prices(2, 3)
        .numInstructions(30);
  }
}
