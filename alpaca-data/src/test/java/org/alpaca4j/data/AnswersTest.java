package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import com.google.common.primitives.Ints;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.SupervisedDataset.OnTooLong;
import org.alpaca4j.data.SupervisedDataset.Thinking;
import org.alpaca4j.data.SupervisedDataset.Turns;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Templates of the usual kinds: what is learnt, behind which prompt. */
class AnswersTest {

  /** As Qwen 3: thoughts of the last answer alone, an empty block where there are none. */
  private static final String QWEN3 =
      """
      {%- set ns = namespace(last=-1) %}
      {%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}\
      {% endfor %}
      {%- if tools %}{{- '<|im_start|>system\nTools: ' + tools[0].name + '<|im_end|>\n' }}{% endif %}
      {%- for m in messages %}
        {%- set content = m.content if m.content is string else '' %}
        {%- if m.role == 'assistant' %}
          {%- set thought = m.reasoning_content if m.reasoning_content is string else '' %}
          {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].split('<think>')[-1].strip() %}
            {%- set content = content.split('</think>')[-1].lstrip() %}
          {%- endif %}
          {{- '<|im_start|>assistant\n' }}
          {%- if loop.index0 > ns.last and (loop.last or thought) %}
            {{- '<think>\n' + thought + '\n</think>\n\n' }}
          {%- endif %}
          {{- content }}
          {%- for call in m.tool_calls or [] %}{{- '<call>' + call.name + '</call>' }}{% endfor %}
          {{- '<|im_end|>\n' }}
        {%- else %}
          {{- '<|im_start|>' + m.role + '\n' + content + '<|im_end|>\n' }}
        {%- endif %}
      {%- endfor %}
      {%- if add_generation_prompt %}
        {{- '<|im_start|>assistant\n' }}
        {%- if enable_thinking is defined and enable_thinking is false %}
          {{- '<think>\n\n</think>\n\n' }}
        {%- endif %}
      {%- endif %}
      """;

  /** As Mistral: the system's message stands in the user's last one; no generation prompt. */
  private static final String MISTRAL =
      """
      {%- set system = messages[0].content if messages[0].role == 'system' else '' %}
      {{- '<s>' }}
      {%- for m in messages if m.role != 'system' %}
        {%- if m.role == 'user' %}
          {{- '[INST]' + (system + '\n\n' if system and loop.last else '') + m.content + '[/INST]' }}
        {%- else %}
          {{- ' ' + m.content + '</s>' }}
        {%- endif %}
      {%- endfor %}
      """;

  private static final String LLAMA3 =
      """
      {{- '<s>' }}
      {%- for m in messages %}
        {{- '<|im_start|>' + m.role + '\n\n' + m.content | trim + '<|im_end|>' }}
      {%- endfor %}
      {%- if add_generation_prompt %}{{- '<|im_start|>assistant\n\n' }}{% endif %}
      """;

  /** As Gemma: roles have other names, and there is no system's message. */
  private static final String GEMMA =
      """
      {{- '<s>' }}
      {%- if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}
      {%- for m in messages %}
        {{- '<|im_start|>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}
        {{- m.content | trim + '<|im_end|>\n' }}
      {%- endfor %}
      {%- if add_generation_prompt %}{{- '<|im_start|>model\n' }}{% endif %}
      """;

  /** As Phi 3: an end-of-text token behind the last turn. */
  private static final String PHI3 =
      """
      {%- for m in messages %}
        {{- '<|' + m.role + '|>\n' + m.content + '<|im_end|>\n' }}
      {%- endfor %}
      {{- '<|assistant|>\n' if add_generation_prompt else '<|endoftext|>' }}
      """;

  /** As DeepSeek R1's: the generation prompt opens a block that no rendered answer has. */
  private static final String R1 =
      """
      {%- for m in messages %}
        {{- '<' + m.role + '>' + m.content.split('</think>')[-1] }}
        {{- '</s>' if m.role == 'assistant' else '' }}
      {%- endfor %}
      {%- if add_generation_prompt %}{{- '<assistant><think>\n' }}{% endif %}
      """;

  /** As GLM 4.5: thinking is switched off in the question, and an empty block always rendered. */
  private static final String GLM =
      """
      {%- set off = enable_thinking is defined and not enable_thinking %}
      {%- for m in messages %}
        {%- if m.role == 'user' %}
          {{- '<|user|>\n' + m.content + ('/nothink' if off else '') }}
        {%- else %}
          {%- set thought = m.reasoning_content if m.reasoning_content is string else '' %}
          {{- '<|im_start|>\n<think>' + thought + '</think>\n' + m.content + '</s>' }}
        {%- endif %}
      {%- endfor %}
      {%- if add_generation_prompt %}
        {{- '<|im_start|>' + ('\n<think></think>' if off else '') }}
      {%- endif %}
      """;

  /** As DeepSeek 3: joins the arguments of a call, which it takes for text. */
  private static final String JOINED_ARGUMENTS =
      """
      {%- for m in messages %}
        {{- '<|im_start|>' + m.role + '\n' }}
        {%- for call in m.tool_calls or [] %}
          {{- call.function.name + ': ' + call.function.arguments }}
        {%- endfor %}
        {{- (m.content or '') + '<|im_end|>' }}
      {%- endfor %}
      {%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{% endif %}
      """;

  private static final String BLOCK = "<think>\n\n</think>\n\n";
  private static final Conversation TWO_TURNS =
      Conversation.of(
          ChatMessage.user("Capital of France?"),
          ChatMessage.assistant("Paris."),
          ChatMessage.user("Of Italy?"),
          ChatMessage.assistant("Rome."));

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
  void learnsEachAnswerBehindItsOwnPromptWhereOldThoughtsVanish() {
    SupervisedExample example = example(QWEN3, TWO_TURNS);

    assertThat(example.starts()).hasSize(2);
    assertThat(learnt(example))
        .containsExactly(
            entry(prompt(QWEN3, TWO_TURNS, 1) + BLOCK, "Paris.<|im_end|>"),
            entry(prompt(QWEN3, TWO_TURNS, 3) + BLOCK, "Rome.<|im_end|>"));
    assertThat(prompt(QWEN3, TWO_TURNS, 3)).contains("assistant\nParis.<|im_end|>");
  }

  @Test
  void doesNotLearnTheTemplatesEmptyBlockOfThinking() {
    Conversation oneTurn = new Conversation(TWO_TURNS.messages().subList(0, 2));

    assertThat(learnt(example(QWEN3, oneTurn)))
        .containsExactly(entry(prompt(QWEN3, oneTurn, 1) + BLOCK, "Paris.<|im_end|>"));
  }

  /** Else chat would not give the prompt that the answers were learnt behind. */
  @Test
  void asksWithoutThinkingWhereNoAnswerThinks(@TempDir Path folder) {
    Conversation oneTurn = firstTurn();
    List<ChatMessage> question = oneTurn.messages().subList(0, 1);
    for (int read = 0; read < 2; read++) { // made, then from the cache
      SupervisedDataset dataset =
          SupervisedDataset.conversations()
              .tokenizer(tokenizer)
              .chatTemplate(ChatTemplate.of(QWEN3))
              .records(List.of(oneTurn))
              .cache(folder)
              .build();
      ChatTemplate form = (ChatTemplate) dataset.promptForm().orElseThrow();

      assertThat(dataset.report().withoutThinking()).isTrue();
      assertThat(form.render(question, RenderOptions.withGenerationPrompt()).text())
          .isEqualTo(prompt(QWEN3, oneTurn, 1) + BLOCK);
      RenderOptions thinking =
          RenderOptions.builder()
              .addGenerationPrompt(true)
              .variable("enable_thinking", true)
              .build();
      assertThat(form.render(question, thinking).text()).isEqualTo(prompt(QWEN3, oneTurn, 1));
      ConversationTokenizer again =
          new ConversationTokenizer(tokenizer, form, Turns.ALL, Thinking.KEEP);
      assertThat(learnt(again.example(oneTurn)))
          .containsExactly(entry(prompt(QWEN3, oneTurn, 1) + BLOCK, "Paris.<|im_end|>"));
    }
    SupervisedDataset mixed = dataset(512, OnTooLong.TRUNCATE, firstTurn(), thinking(true));
    assertThat(mixed.report().withoutThinking()).isFalse();
    assertThat(((ChatTemplate) mixed.promptForm().orElseThrow()).source()).isEqualTo(QWEN3);
  }

  @Test
  void asksWithoutThinkingWhereTheQuestionSaysSo() {
    assertThat(learnt(example(GLM, TWO_TURNS)))
        .containsExactly(
            entry(
                "<|user|>\nCapital of France?/nothink<|im_start|>\n<think></think>",
                "\nParis.</s>"),
            entry(
                "<|user|>\nCapital of France?/nothink<|im_start|>\n<think></think>\nParis.</s>"
                    + "<|user|>\nOf Italy?/nothink<|im_start|>\n<think></think>",
                "\nRome.</s>"));
    assertThat(learnt(example(GLM, thinking(true))).values())
        .containsExactly("\n<think>one</think>\nA</s>", "\n<think>two</think>\nB</s>");

    SupervisedDataset dataset =
        SupervisedDataset.conversations()
            .tokenizer(tokenizer)
            .chatTemplate(ChatTemplate.of(GLM))
            .records(List.of(TWO_TURNS))
            .build();
    assertThat(
            ((ChatTemplate) dataset.promptForm().orElseThrow())
                .render(TWO_TURNS.messages().subList(0, 1), RenderOptions.withGenerationPrompt())
                .text())
        .endsWith("/nothink<|im_start|>\n<think></think>");
  }

  @Test
  void givesATemplateTheArgumentsOfCallsAsItTakesThem() {
    for (Object arguments : List.of("{\"city\":\"Bonn\"}", Map.of("city", "Bonn"))) {
      Conversation conversation =
          Conversation.of(
              ChatMessage.user("Weather?"),
              ChatMessage.ofMap(
                  Map.of(
                      "role",
                      "assistant",
                      "tool_calls",
                      List.of(Map.of("function", Map.of("name", "f", "arguments", arguments))))));
      String json = "{\"city\": \"Bonn\"}";
      assertThat(learnt(example(JOINED_ARGUMENTS, conversation)).values())
          .containsExactly("f: " + json + "<|im_end|>");
      String dumped =
          JOINED_ARGUMENTS.replace("+ call.function.arguments", "+ call.function.arguments|tojson");
      assertThat(learnt(example(dumped, conversation)).values())
          .containsExactly("f: " + json + "<|im_end|>");
    }
  }

  @Test
  void takesASpecialTokenInTheDescriptionOfAToolForText() {
    String template =
        "{% for m in messages %}{{ (tools | tojson if loop.first and tools else '') + m.content"
            + " + '</s>' }}{% endfor %}";
    Map<String, Object> tool =
        Map.of("name", "f", "parameters", Map.of("<|im_end|>", Map.of("description", "a<s>b")));
    SupervisedDataset.ConversationsBuilder builder =
        SupervisedDataset.conversations()
            .tokenizer(tokenizer)
            .chatTemplate(ChatTemplate.of(template))
            .records(
                List.of(
                    new Conversation(
                        List.of(ChatMessage.user("q"), ChatMessage.assistant("x")),
                        List.of(tool))));
    SupervisedDataset dataset = builder.build();
    int[] ids = dataset.get(0).ids();

    assertThat(ids).doesNotContain(TestTokenizer.BOS, TestTokenizer.IM_END);
    assertThat(tokenizer.decode(ids, false))
        .contains("<|im_end|>", "a<s>b")
        .doesNotContain("\uFDD0");
    assertThat(dataset.report().specialTokensAsText()).isEqualTo(1);
  }

  @Test
  void learnsWhatTheAssistantThinks() {
    Conversation inFields = thinking(true);
    Conversation inText = thinking(false);
    Map<String, String> expected = new LinkedHashMap<>();
    expected.put(prompt(QWEN3, inText, 1), "<think>\none\n</think>\n\nA<|im_end|>");
    expected.put(prompt(QWEN3, inText, 3), "<think>\ntwo\n</think>\n\nB<|im_end|>");

    assertThat(learnt(example(QWEN3, inFields))).isEqualTo(expected);
    assertThat(learnt(example(QWEN3, inText))).isEqualTo(expected);
  }

  @Test
  void leavesOutThoughtsWhenAsked() {
    for (Conversation conversation : List.of(thinking(true), thinking(false))) {
      assertThat(learnt(example(QWEN3, conversation, Turns.ALL, Thinking.DROP)).values())
          .containsExactly("A<|im_end|>", "B<|im_end|>");
      assertThat(learnt(example(QWEN3, conversation, Turns.ALL, Thinking.LAST)).values())
          .containsExactly("A<|im_end|>", "<think>\ntwo\n</think>\n\nB<|im_end|>");
    }
  }

  @Test
  void learnsTheLastAnswerAlone() {
    SupervisedExample example = example(QWEN3, TWO_TURNS, Turns.LAST, Thinking.KEEP);

    assertThat(example.starts()).hasSize(1);
    assertThat(learnt(example))
        .containsExactly(entry(prompt(QWEN3, TWO_TURNS, 3) + BLOCK, "Rome.<|im_end|>"));
  }

  @Test
  void learnsToolCallsAndWhatFollowsTheirResults() {
    Conversation conversation =
        new Conversation(
            List.of(
                ChatMessage.user("Weather?"),
                new ChatMessage(
                    "assistant", "", Map.of("tool_calls", List.of(Map.of("name", "weather")))),
                ChatMessage.of("tool", "12 C"),
                ChatMessage.assistant("12 degrees.")),
            List.of(Map.of("name", "weather")));

    assertThat(learnt(example(QWEN3, conversation)))
        .containsExactly(
            entry(prompt(QWEN3, conversation, 1) + BLOCK, "<call>weather</call><|im_end|>"),
            entry(prompt(QWEN3, conversation, 3) + BLOCK, "12 degrees.<|im_end|>"));
    assertThat(prompt(QWEN3, conversation, 1)).startsWith("<|im_start|>system\nTools: weather");
  }

  @Test
  void keepsASystemMessageThatTheTemplateMovesToTheLastQuestion() {
    Conversation conversation = withSystem();

    assertThat(learnt(example(MISTRAL, conversation)))
        .containsExactly(
            entry("<s>[INST]Be brief.\n\nCapital of France?[/INST]", " Paris.</s>"),
            entry(
                "<s>[INST]Capital of France?[/INST] Paris.</s>"
                    + "[INST]Be brief.\n\nOf Italy?[/INST]",
                " Rome.</s>"));
  }

  @Test
  void rendersOnceWhereEarlierTurnsStay() {
    for (String template : List.of(MISTRAL, LLAMA3, GEMMA, PHI3)) {
      SupervisedExample example = example(template, TWO_TURNS);

      assertThat(example.starts()).hasSize(1);
      assertThat(tokenizer.decode(example.ids(), false))
          .isEqualTo(ChatTemplate.of(template).render(TWO_TURNS.messages()).text());
      Map<String, String> learnt = learnt(example);
      assertThat(learnt.keySet())
          .containsExactly(prompt(template, TWO_TURNS, 1), prompt(template, TWO_TURNS, 3));
      assertThat(learnt.values())
          .allSatisfy(answer -> assertThat(answer).matches(" ?(Paris|Rome)\\.<[|/][a-z_|]*>"));
    }
  }

  @Test
  void learnsBehindABlockOfThinkingThatThePromptOpens() {
    assertThat(learnt(example(R1, TWO_TURNS)))
        .containsExactly(
            entry(prompt(R1, TWO_TURNS, 1), "Paris.</s>"),
            entry(prompt(R1, TWO_TURNS, 3), "Rome.</s>"));
    assertThat(prompt(R1, TWO_TURNS, 1)).endsWith("<assistant><think>\n");
  }

  @Test
  void tokenizesThePromptAloneWhereATokenWouldReachOverItsEnd() {
    String template = // ": T" and ":T" are texts; ":T" is one token
        "{% for m in messages %}{{ m.content + ('</s>' if m.role == 'assistant' else ':') }}"
            + "{% endfor %}";
    Conversation conversation =
        Conversation.of(ChatMessage.user("q"), ChatMessage.assistant("Two"));

    SupervisedExample example = example(template, conversation);

    assertThat(tokenizer.encodeIds("q:Two</s>", false)).contains(TestTokenizer.MERGED_COLON_T);
    assertThat(example.ids())
        .isEqualTo(
            Ints.concat(tokenizer.encodeIds("q:", false), tokenizer.encodeIds("Two</s>", false)));
    assertThat(learnt(example)).containsExactly(entry("q:", "Two</s>"));
  }

  @Test
  void leavesOutTheOldestTurnsOfSeveralSequences() {
    SupervisedDataset whole = dataset(100_000, OnTooLong.ERROR);
    SupervisedDataset shorter = dataset(whole.longestSequence(0) - 1, OnTooLong.DROP_TURNS);

    assertThat(whole.sequences(0)).isEqualTo(2);
    assertThat(learnt(shorter.get(0)).values()).containsExactly("Rome.<|im_end|>");
    assertThat(shorter.report().shortened()).isEqualTo(1);
  }

  @Test
  void cutsEachSequenceAndLeavesOutThoseThatTeachNothingThen() {
    SupervisedDataset whole = dataset(100_000, OnTooLong.ERROR);
    int first = whole.get(0).starts()[1];

    SupervisedDataset cut = dataset(first - 1, OnTooLong.TRUNCATE);

    assertThat(cut.sequences(0)).isEqualTo(1);
    assertThat(learnt(cut.get(0)).values()).containsExactly("Paris.");
    assertThat(cut.report().truncated()).isEqualTo(1);
    assertThat(cut.report().longest()).isEqualTo(first - 1);
    assertThat(dataset(first + 1, OnTooLong.DROP, TWO_TURNS, firstTurn()).report().tooLong())
        .containsExactly(0);
  }

  @Test
  void countsAConversationOnceAndWhatItsSequencesShareOnce() {
    SupervisedDataset dataset = dataset(100_000, OnTooLong.ERROR);
    List<SupervisedExample> sequences = dataset.get(0).sequences();
    int shared = Arrays.mismatch(sequences.get(0).ids(), sequences.get(1).ids());

    assertThat(dataset.size()).isEqualTo(1);
    assertThat(shared).isGreaterThan(20);
    assertThat(dataset.length(0)).isEqualTo(dataset.get(0).length() - shared);
    assertThat(dataset.report().tokens()).isEqualTo(dataset.length(0));
    assertThat(dataset.supervisedTokens(0))
        .isEqualTo(sequences.stream().mapToInt(SupervisedExample::supervisedTokens).sum());
  }

  private static SupervisedDataset dataset(int maxLength, OnTooLong policy) {
    return dataset(maxLength, policy, TWO_TURNS);
  }

  private static SupervisedDataset dataset(
      int maxLength, OnTooLong policy, Conversation... records) {
    return SupervisedDataset.conversations()
        .tokenizer(tokenizer)
        .chatTemplate(ChatTemplate.of(QWEN3))
        .records(List.of(records))
        .maxLength(maxLength)
        .onTooLong(policy)
        .build();
  }

  private static Conversation firstTurn() {
    return new Conversation(TWO_TURNS.messages().subList(0, 2));
  }

  private static Conversation withSystem() {
    ChatMessage[] messages = new ChatMessage[TWO_TURNS.messages().size() + 1];
    messages[0] = ChatMessage.system("Be brief.");
    for (int i = 1; i < messages.length; i++) {
      messages[i] = TWO_TURNS.messages().get(i - 1);
    }
    return Conversation.of(messages);
  }

  private static Conversation thinking(boolean inField) {
    return Conversation.of(
        ChatMessage.user("a?"),
        answer("one", "A", inField),
        ChatMessage.user("b?"),
        answer("two", "B", inField));
  }

  private static ChatMessage answer(String thought, String answer, boolean inField) {
    return inField
        ? new ChatMessage("assistant", answer, Map.of("reasoning_content", thought))
        : ChatMessage.assistant("<think>\n" + thought + "\n</think>\n\n" + answer);
  }

  /** What a chat gives the model when it is asked for a message. */
  private static String prompt(String template, Conversation conversation, int index) {
    RenderOptions.Builder options = RenderOptions.builder().addGenerationPrompt(true);
    if (!conversation.tools().isEmpty()) {
      options.tools(conversation.tools());
    }
    return ChatTemplate.of(template)
        .render(conversation.messages().subList(0, index), options.build())
        .text();
  }

  private static SupervisedExample example(String template, Conversation conversation) {
    return example(template, conversation, Turns.ALL, Thinking.KEEP);
  }

  private static SupervisedExample example(
      String template, Conversation conversation, Turns turns, Thinking thinking) {
    return new ConversationTokenizer(tokenizer, ChatTemplate.of(template), turns, thinking)
        .example(conversation);
  }

  /** What is learnt, by the text before it. */
  private static Map<String, String> learnt(SupervisedExample example) {
    Map<String, String> learnt = new LinkedHashMap<>();
    for (SupervisedExample sequence : example.sequences()) {
      int[] ids = sequence.ids();
      int from = 0;
      for (int t = 0; t < ids.length; t++) {
        boolean supervised = sequence.labels()[t] != SupervisedExample.IGNORE_INDEX;
        from = supervised ? from : t + 1;
        boolean ends =
            t + 1 == ids.length || sequence.labels()[t + 1] == SupervisedExample.IGNORE_INDEX;
        if (supervised && ends) {
          learnt.put(
              tokenizer.decode(Arrays.copyOf(ids, from), false),
              tokenizer.decode(Arrays.copyOfRange(ids, from, t + 1), false));
        }
      }
    }
    return learnt;
  }
}
