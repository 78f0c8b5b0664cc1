package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.AddedToken;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.FinishReason;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.GenerationResult;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.ChatMlPreprocessor;
import org.alpaca4j.data.Conversation;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is learnt is asked in the form that taught it, and ends where it ended. */
class AskedAsTaughtTest {
  private static final int END_OF_TEXT = 262;
  private static final int IM_END = 264;

  @TempDir Path folder;

  private static SftConfig taught(int steps) {
    return SftConfig.builder().maxSteps(steps).learningRate(5e-3).batchSize(4).build();
  }

  private static SftConfig aStep() {
    return SftConfig.builder().maxSteps(1).learningRate(1e-3).build();
  }

  private TrainingResult train(CausalLm model, SupervisedDataset dataset, SftConfig config) {
    return SftTrainer.builder()
        .model(model)
        .dataset(dataset)
        .config(config)
        .outputDirectory(folder.resolve("out"))
        .build()
        .train();
  }

  private static SupervisedDataset conversations(CausalLm model) {
    return SupervisedDataset.conversations()
        .tokenizer(model.tokenizer())
        .records(conversations())
        .build();
  }

  private static List<Conversation> conversations() {
    return List.of(
        Conversation.of(ChatMessage.user("Say hi"), ChatMessage.assistant("hi")),
        Conversation.of(ChatMessage.user("Say ho"), ChatMessage.assistant("ho")));
  }

  private String prompt(CausalLm model) {
    return model.tokenizer().decode(model.chatIds(List.of(ChatMessage.user("Q"))), false);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aModelTrainedOnInstructionsAnswersThem(boolean hasChatTemplate) throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, hasChatTemplate);
    Path data = folder.resolve("readme.json");
    Files.writeString(
        data,
        """
        [{"instruction": "Say hi", "input": "", "output": "hi"},
         {"instruction": "Oh, oh, oh, oh, oh, oh, oh, oh!", "input": "", "output": "ho"}]
        """);
    try (CausalLm model = CausalLm.load(base)) {
      SupervisedDataset dataset =
          SupervisedDataset.builder()
              .tokenizer(model.tokenizer())
              .template(PromptTemplate.ALPACA)
              .json(data)
              .build();
      train(model, dataset, taught(200));
      assertThat(model.chat("Say hi")).isEqualTo("hi");
      assertThat(model.chat("Oh, oh, oh, oh, oh, oh, oh, oh!")).isEqualTo("ho");
    }

    Path again = folder.resolve("again");
    try (CausalLm saved = CausalLm.load(folder.resolve("out"))) {
      assertThat(saved.chat("Say hi")).isEqualTo("hi");
      assertThat(saved.chat("Oh, oh, oh, oh, oh, oh, oh, oh!")).isEqualTo("ho");
      saved.save(again);
    }
    try (CausalLm model = CausalLm.load(again)) {
      assertThat(model.promptForm()).contains(PromptTemplate.ALPACA);
      assertThat(
              ChatTemplate.load(again).orElseThrow().render(List.of(ChatMessage.user("Q"))).text())
          .isEqualTo(prompt(model));
    }
  }

  @Test
  void aModelTrainedOnConversationsIsNoLongerAskedByAnOlderPromptTemplate() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    PromptTemplate.ALPACA.save(base);
    try (CausalLm model = CausalLm.load(base)) {
      train(model, conversations(model), aStep());
      assertThat(prompt(model)).startsWith("<|im_start|>user\nQ");
    }
    assertThat(folder.resolve("out/prompt_template.json")).doesNotExist();
    try (CausalLm model = CausalLm.load(folder.resolve("out"))) {
      assertThat(prompt(model)).startsWith("<|im_start|>user\nQ");
    }
  }

  @Test
  void theLastTrainingDecides() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    try (CausalLm model = CausalLm.load(base)) {
      SupervisedDataset instructions =
          SupervisedDataset.builder()
              .tokenizer(model.tokenizer())
              .records(List.of(InstructionRecord.of("a", "b")))
              .build();
      SftTrainer.builder().model(model).dataset(instructions).config(aStep()).build().train();
      assertThat(model.promptForm()).contains(PromptTemplate.ALPACA);
      train(model, conversations(model), aStep());
      assertThat(prompt(model)).startsWith("<|im_start|>");
    }
    try (CausalLm model = CausalLm.load(folder.resolve("out"))) {
      assertThat(prompt(model)).startsWith("<|im_start|>");
    }
  }

  @Test
  void theTokenThatClosesAnAnswerEndsGeneration() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), END_OF_TEXT, true);
    Files.writeString(base.resolve("generation_config.json"), "{\"do_sample\": false, \"own\": 1}");
    GenerationConfig limit = GenerationConfig.builder().maxNewTokens(20).build();
    List<ChatMessage> question = List.of(ChatMessage.user("Say hi"));
    try (CausalLm model = CausalLm.load(base)) {
      TrainingResult result = train(model, conversations(model), taught(150));

      assertThat(result.notes()).anySatisfy(note -> assertThat(note).contains("<|im_end|>"));
      GenerationResult answer = model.chat(question, limit, (sequence, id, text) -> true);
      assertThat(answer.text()).isEqualTo("hi");
      assertThat(answer.finishReason()).isEqualTo(FinishReason.EOS);

      GenerationConfig stopString =
          limit.toBuilder().eosTokenIds(List.of()).stopStrings(List.of("<|im_end|>")).build();
      for (GenerationConfig config :
          List.of(
              stopString,
              stopString.toBuilder().doSample(true).seed(1).build(),
              stopString.toBuilder().numBeams(2).build())) {
        answer = model.generator().generate(model.chatIds(question), config);
        assertThat(answer.text()).isEqualTo("hi");
        assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP_STRING);
      }
    }
    Path out = folder.resolve("out");
    try (CausalLm saved = CausalLm.load(out)) {
      assertThat(saved.chat("Say ho")).isEqualTo("ho");
    }
    assertThat(GenerationConfig.load(out).eosTokenIds()).contains(List.of(END_OF_TEXT, IM_END));
    assertThat(ModelConfig.load(out.resolve("config.json")).eosTokenIds())
        .containsExactly(END_OF_TEXT, IM_END);
    assertThat(Files.readString(out.resolve("generation_config.json"))).contains("\"own\"");
  }

  @Test
  void aTemplateGivenToTheDatasetIsTheModels() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    ChatTemplate given =
        ChatTemplate.of(
            "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}Q {{ m.content }} A"
                + "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}");
    try (CausalLm model = CausalLm.load(base)) {
      SupervisedDataset dataset =
          SupervisedDataset.conversations()
              .tokenizer(model.tokenizer())
              .chatTemplate(given)
              .records(conversations())
              .build();
      assertThat(dataset.get(0).ids()[0]).isEqualTo(1);
      train(model, dataset, aStep());
      assertThat(prompt(model)).isEqualTo("<s>Q Q A");
    }
    assertThat(folder.resolve("out/chat_template.jinja")).hasContent(given.source());
    try (CausalLm model = CausalLm.load(folder.resolve("out"))) {
      assertThat(prompt(model)).isEqualTo("<s>Q Q A");
    }
  }

  @Test
  void chatMlByHandIsTheModelsTemplateWhereTheFolderHasNone() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, false);
    try (CausalLm model = CausalLm.load(base)) {
      SupervisedDataset dataset =
          SupervisedDataset.conversations()
              .tokenizer(model.tokenizer())
              .chatMl(ChatMlPreprocessor.LabelMask.ASSISTANT)
              .records(conversations())
              .build();
      train(model, dataset, aStep());
      assertThat(model.endTokenIds()).containsExactly(2, IM_END);
    }
    try (CausalLm model = CausalLm.load(folder.resolve("out"))) {
      assertThat(prompt(model)).isEqualTo("<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n");
      assertThat(model.endTokenIds()).containsExactly(2, IM_END);
    }
  }

  @Test
  void qwensMaskWithTheNewlineBehindTheEndTellsTheEnd() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    try (CausalLm model = CausalLm.load(base)) {
      SupervisedDataset dataset =
          SupervisedDataset.conversations()
              .tokenizer(model.tokenizer())
              .chatMl(ChatMlPreprocessor.LabelMask.QWEN)
              .records(conversations())
              .build();
      assertThat(AnswerEnds.of(dataset, model.tokenizer())).containsExactly(IM_END);
    }
  }

  @Test
  void anUntrainedRowOfTheClosingTokenIsNoted() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    try (CausalLm grown =
        CausalLm.builder(base)
            .tokenizer(
                Tokenizer.load(base)
                    .withAddedTokens(
                        List.of(AddedToken.special("<end>"), AddedToken.special("<other>"))))
            .load()) {
      SupervisedDataset dataset =
          SupervisedDataset.conversations()
              .tokenizer(grown.tokenizer())
              .chatTemplate(
                  ChatTemplate.of(
                      "{% for m in messages %}{{ m.role }}:{{ m.content }}<end>{% endfor %}"
                          + "{% if add_generation_prompt %}assistant:{% endif %}"))
              .records(conversations())
              .build();
      TrainingResult result = train(grown, dataset, aStep());
      assertThat(result.notes())
          .anySatisfy(note -> assertThat(note).contains("<end>", "<other>", "never trained"));
    }
  }
}
