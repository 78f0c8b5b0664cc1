package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.data.Conversation;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.alpaca4j.weights.gguf.GgufExport;
import org.alpaca4j.weights.gguf.GgufQuantisation;
import org.alpaca4j.weights.gguf.GgufType;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * README's first example, carried on to llama.cpp: what was taught is answered after training,
 * after saving and loading, and by llama.cpp from every kind of GGUF file.
 */
@Tag("llamacpp")
class LlamaCppIT {
  private static final List<InstructionRecord> TAUGHT =
      List.of(
          InstructionRecord.of("Name a color.", "Red."),
          InstructionRecord.of("What is 1 plus 2?", "1 plus 2 is 3."),
          InstructionRecord.of("Say it in French: \"Déjà vu\"", "C'est déjà vu."));
  private static final List<String> UNTAUGHT =
      List.of("Who is Albin?", "Write two  words,\n\tor 34567.");
  private static final GenerationConfig GREEDY =
      GenerationConfig.builder().maxNewTokens(LlamaCpp.MOST_TOKENS).build();

  @TempDir Path folder;

  @Test
  void answersInstructionsOfAModelWhoseRowsAreNoWholeBlocks() throws IOException {
    Path base = TinyModel.unpack(folder.resolve("base"));
    try (CausalLm model = CausalLm.load(base)) {
      answersAsTaught(model, instructions(model));
    }
  }

  @Test
  void answersInstructionsOfAModelWhoseRowsAreWholeBlocks() throws IOException {
    Path base = TinyCheckpoint.write(folder.resolve("base"), 256, 256);
    try (CausalLm model = CausalLm.load(base)) {
      answersAsTaught(model, instructions(model));
    }
  }

  @Test
  void answersConversationsByItsChatTemplate() {
    Path base = TinyCheckpoint.write(folder.resolve("base"), 256, 256);
    try (CausalLm model = CausalLm.load(base)) {
      List<Conversation> conversations = new ArrayList<>();
      for (InstructionRecord record : TAUGHT) {
        conversations.add(
            Conversation.of(
                ChatMessage.user(record.instruction()), ChatMessage.assistant(record.output())));
      }
      answersAsTaught(
          model,
          SupervisedDataset.conversations()
              .tokenizer(model.tokenizer())
              .records(conversations)
              .build());
    }
  }

  private SupervisedDataset instructions(CausalLm model) throws IOException {
    Path json = folder.resolve("alpaca_data.json");
    new ObjectMapper().writeValue(json.toFile(), TAUGHT);
    return SupervisedDataset.builder()
        .tokenizer(model.tokenizer())
        .template(PromptTemplate.ALPACA)
        .json(json)
        .build();
  }

  private void answersAsTaught(CausalLm model, SupervisedDataset dataset) {
    Path tuned = folder.resolve("tuned");
    SftTrainer.builder()
        .model(model)
        .dataset(dataset)
        .config(SftConfig.builder().maxSteps(80).batchSize(3).learningRate(3e-3).build())
        .outputDirectory(tuned)
        .build()
        .train();
    assertAnswers(model);
    try (CausalLm saved = CausalLm.load(tuned)) {
      assertAnswers(saved);
      Path file = folder.resolve("model.gguf");
      GgufExport.builder(tuned).type(GgufType.F32).build().write(file);
      assertAnswersOfLlamaCpp(file, saved);
      assertSameAnswers(file, saved, UNTAUGHT);
      for (GgufQuantisation kind : GgufQuantisation.values()) {
        file = folder.resolve(kind + ".gguf");
        GgufExport.builder(tuned).quantise(kind).build().write(file);
        assertAnswersOfLlamaCpp(file, saved);
      }
    }
  }

  private static void assertAnswers(CausalLm model) {
    for (InstructionRecord record : TAUGHT) {
      assertThat(model.chat(record.instruction())).isEqualTo(record.output());
    }
  }

  private static void assertAnswersOfLlamaCpp(Path file, CausalLm model) {
    List<String> asked = TAUGHT.stream().map(InstructionRecord::instruction).toList();
    assertThat(assertSameAnswers(file, model, asked))
        .as("answers end before the limit")
        .allMatch(answer -> answer.parts() < LlamaCpp.MOST_TOKENS);
  }

  /** Of prompt, tokens and answer. */
  private static List<LlamaCpp.Answer> assertSameAnswers(
      Path file, CausalLm model, List<String> asked) {
    int begin = model.tokenizer().prefixIds().length;
    List<int[]> prompts = new ArrayList<>();
    List<LlamaCpp.Question> questions = new ArrayList<>();
    for (String user : asked) {
      int[] ids = model.chatIds(List.of(ChatMessage.user(user)));
      int[] prompt = Arrays.copyOfRange(ids, begin, ids.length);
      prompts.add(prompt);
      questions.add(new LlamaCpp.Question(user, model.tokenizer().decode(prompt, false)));
    }

    List<LlamaCpp.Answer> answers = LlamaCpp.ask(file, questions);

    for (int i = 0; i < asked.size(); i++) {
      LlamaCpp.Answer answer = answers.get(i);
      List<ChatMessage> messages = List.of(ChatMessage.user(asked.get(i)));
      String expected = model.chat(messages, GREEDY, (sequence, id, text) -> true).text();
      assertThat(answer.templated()).isEqualTo(questions.get(i).prompt());
      assertThat(answer.ids()).isEqualTo(prompts.get(i));
      assertThat(answer.text()).as(file + ": " + asked.get(i)).isEqualTo(expected);
    }
    return answers;
  }
}
