package org.alpaca4j.data;

import static org.alpaca4j.data.TestTokenizer.EOS;
import static org.alpaca4j.data.TestTokenizer.IM_END;
import static org.alpaca4j.data.TestTokenizer.id;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ConversationTokenizerTest {

  private static final String CHATML =
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
          + " + '<|im_end|>\\n' }}{% endfor %}"
          + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  private static final String CHATML_WITH_BLOCKS =
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
          + "{% if message['role'] == 'assistant' %}{% generation %}"
          + "{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
          + "{% else %}{{ message['content'] + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
          + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  private static final Conversation TWO_TURNS =
      Conversation.of(
          ChatMessage.user("q\uD83D\uDE00"),
          ChatMessage.assistant("ok"),
          ChatMessage.user("r"),
          ChatMessage.assistant("no"));

  private static Tokenizer tokenizer;

  @BeforeAll
  static void loadTokenizer() {
    tokenizer = TestTokenizer.load();
  }

  @AfterAll
  static void closeTokenizer() {
    tokenizer.close();
  }

  @Test
  void supervisesEveryAnswerAndItsClosingToken() {
    assertThat(supervised(example(CHATML, TWO_TURNS)))
        .containsExactly(id('o'), id('k'), IM_END, id('n'), id('o'), IM_END);
  }

  @Test
  void findsTheSameTokensWithAndWithoutGenerationBlocks() {
    assertThat(example(CHATML, TWO_TURNS)).isEqualTo(example(CHATML_WITH_BLOCKS, TWO_TURNS));
  }

  @Test
  void agreesWithChatMlByHand() {
    assertThat(example(CHATML, TWO_TURNS))
        .isEqualTo(ChatMlPreprocessor.of(tokenizer).example(TWO_TURNS.messages()));
  }

  @Test
  void refusesATemplateWhoseGenerationPromptIsNotWhatAnswersBeginWith() {
    String other = CHATML.replace("<|im_start|>assistant\\n' }}{% endif", "<answer>' }}{% endif");

    assertThatThrownBy(() -> example(other, TWO_TURNS))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("does not render messages[1] as an answer")
        .hasMessageContaining("{% generation %}");
  }

  @Test
  void learnsAFirstMessageOfTheAssistantWhereTheTemplateSaysHowAnswersBegin() {
    Conversation conversation = Conversation.of(ChatMessage.assistant("hi"));

    assertThat(example(CHATML, conversation)).isEqualTo(example(CHATML_WITH_BLOCKS, conversation));
    assertThat(supervised(example(CHATML, conversation))).containsExactly(id('h'), id('i'), IM_END);
  }

  @Test
  void takesAFirstMessageOfTheAssistantAsContextWhereTheTemplateDoesNotSay() {
    String withoutGenerationPrompt = "{% for m in messages %}{{ m.content }}</s>{% endfor %}";
    Conversation conversation =
        Conversation.of(
            ChatMessage.assistant("hi"), ChatMessage.user("q"), ChatMessage.assistant("ok"));

    assertThat(supervised(example(withoutGenerationPrompt, conversation)))
        .containsExactly(id('o'), id('k'), EOS);
  }

  @Test
  void refusesTwoBeginOfSequenceTokens() {
    assertThatThrownBy(() -> example("<s><s>" + CHATML, TWO_TURNS))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("more than one begin-of-sequence token");
  }

  @Test
  void usesTheTokenizersOwnTemplateByDefault() {
    SupervisedDataset dataset =
        SupervisedDataset.conversations()
            .tokenizer(tokenizer)
            .records(List.of(TWO_TURNS, Conversation.of(ChatMessage.user("alone"))))
            .build();

    assertThat(dataset.get(0)).isEqualTo(example(CHATML, TWO_TURNS));
    assertThat(dataset.report().fullyMasked()).containsExactly(1);
  }

  @Test
  void namesTheConversationThatTheTemplateRefuses() {
    ChatTemplate refusing =
        ChatTemplate.of("{{ raise_exception('roles must alternate') }}{{ messages }}");

    assertThatThrownBy(
            () ->
                SupervisedDataset.conversations()
                    .tokenizer(tokenizer)
                    .chatTemplate(refusing)
                    .records(List.of(TWO_TURNS))
                    .build())
        .isInstanceOf(DataException.class)
        .hasMessage("records, record 0: roles must alternate");
  }

  @Test
  void passesToolsToTheTemplate() {
    String withTools = "{% if tools %}{{ tools[0]['name'] }}{% endif %}" + CHATML;
    Conversation conversation =
        new Conversation(TWO_TURNS.messages(), List.of(Map.of("name", "f")));

    assertThat(example(withTools, conversation).ids()).startsWith(id('f'));
  }

  private static SupervisedExample example(String template, Conversation conversation) {
    return new ConversationTokenizer(
            tokenizer,
            ChatTemplate.of(template),
            SupervisedDataset.Turns.ALL,
            SupervisedDataset.Thinking.KEEP)
        .example(conversation);
  }

  private static int[] supervised(SupervisedExample example) {
    return Arrays.stream(example.labels())
        .filter(label -> label != SupervisedExample.IGNORE_INDEX)
        .toArray();
  }
}
