package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.SupervisedDataset.OnFullyMasked;
import org.alpaca4j.data.SupervisedDataset.OnTooLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Another value of an option makes other examples or another report: none is read by nothing. */
class DatasetOptionTraceTest {
  private static final Path TOKENIZER =
      Path.of("../alpaca-core/src/test/resources/byte-level-tokenizer");

  /** Where records come from and tokens go to, and damaged records: tests of files look at that. */
  private static final Set<String> ELSEWHERE =
      Set.of("tokenizer", "json", "jsonl", "file", "source", "records", "cache", "onBadRecord");

  private final Tokenizer plain = Tokenizer.load(TOKENIZER);
  private final Tokenizer tokenizer = plain.withMissingSpecialTokens().tokenizer();

  @AfterEach
  void close() {
    tokenizer.close();
    plain.close();
  }

  private static <T> Map<String, UnaryOperator<T>> options() {
    return new TreeMap<>();
  }

  @Test
  void instructions() {
    Map<String, UnaryOperator<SupervisedDataset.Builder>> options = options();
    options.put(
        "template", b -> b.template(PromptTemplate.of("{instruction}{input}", "{instruction}")));
    options.put("mode", b -> b.mode(SupervisedDataset.Mode.COMPATIBLE));
    options.put("maxLength", b -> b.maxLength(145));
    options.put("onFullyMasked", b -> b.maxLength(145).onFullyMasked(OnFullyMasked.KEEP));
    options.put("onTooLong", b -> b.maxLength(145).onTooLong(OnTooLong.TRUNCATE_PROMPT));
    options.put("limit", b -> b.limit(2));
    options.put("splitSpecialTokens", b -> b.splitSpecialTokens(false));
    check(
        SupervisedDataset.Builder.class,
        options,
        () ->
            SupervisedDataset.builder()
                .tokenizer(tokenizer)
                .records(
                    List.of(
                        InstructionRecord.of("", ""),
                        InstructionRecord.of("<s>", "an answer"),
                        InstructionRecord.of("a question", "b"))),
        "onFullyMasked",
        b -> b.maxLength(145),
        "onTooLong",
        b -> b.maxLength(145));
  }

  @Test
  void conversations() {
    Map<String, UnaryOperator<SupervisedDataset.ConversationsBuilder>> options = options();
    options.put(
        "chatTemplate",
        b ->
            b.chatTemplate(
                ChatTemplate.of(
                    "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}"
                        + "{% if add_generation_prompt %}assistant: {% endif %}")));
    options.put("chatMl", b -> b.chatMl(ChatMlPreprocessor.LabelMask.CONTENT_ONLY));
    options.put("turns", b -> b.turns(SupervisedDataset.Turns.LAST));
    options.put("thinking", b -> b.thinking(SupervisedDataset.Thinking.DROP));
    options.put("maxLength", b -> b.maxLength(50));
    options.put("onFullyMasked", b -> b.maxLength(20).onFullyMasked(OnFullyMasked.KEEP));
    options.put("onTooLong", b -> b.maxLength(50).onTooLong(OnTooLong.DROP_TURNS));
    options.put("limit", b -> b.limit(1));
    options.put("splitSpecialTokens", b -> b.splitSpecialTokens(false));
    check(
        SupervisedDataset.ConversationsBuilder.class,
        options,
        () ->
            SupervisedDataset.conversations()
                .tokenizer(tokenizer)
                .records(
                    List.of(
                        Conversation.of(
                            ChatMessage.user("a"),
                            ChatMessage.assistant("b<|im_end|>"),
                            ChatMessage.user("c"),
                            ChatMessage.assistant("<think>x</think>d")),
                        Conversation.of(
                            ChatMessage.user("a longer one"), ChatMessage.assistant("e")),
                        Conversation.of(ChatMessage.user(""), ChatMessage.assistant("f")))),
        "onFullyMasked",
        b -> b.maxLength(20),
        "onTooLong",
        b -> b.maxLength(50));
  }

  @Test
  void adgen() {
    Map<String, UnaryOperator<SupervisedDataset.AdgenBuilder>> options = options();
    options.put("prompt", b -> b.prompt(AdgenPreprocessor.Prompt.ROUNDS));
    options.put("maxSourceLength", b -> b.maxSourceLength(9));
    options.put("maxTargetLength", b -> b.maxTargetLength(3));
    options.put("maxLength", b -> b.maxLength(20));
    options.put("onFullyMasked", b -> b.maxLength(16).onFullyMasked(OnFullyMasked.KEEP));
    options.put("onTooLong", b -> b.maxLength(20).onTooLong(OnTooLong.DROP));
    options.put("limit", b -> b.limit(1));
    check(
        SupervisedDataset.AdgenBuilder.class,
        options,
        () ->
            SupervisedDataset.adgen()
                .tokenizer(tokenizer)
                .records(List.of(adgen("衣", "长裤"), adgen("a", "b"), adgen("", "b"))),
        "onFullyMasked",
        b -> b.maxLength(16),
        "onTooLong",
        b -> b.maxLength(20),
        "splitSpecialTokens"); // ADGEN's form follows its original
  }

  private static AdgenRecord adgen(String content, String summary) {
    return new AdgenRecord(content, summary, List.of());
  }

  /** Compares each option's trace with that without it, or with what else it is set beside. */
  private <R, B extends DatasetBuilder<R, B>> void check(
      Class<B> type,
      Map<String, UnaryOperator<B>> options,
      Supplier<B> base,
      String one,
      UnaryOperator<B> besideOne,
      String other,
      UnaryOperator<B> besideOther,
      String... withoutEffect) {
    Set<String> looked = new TreeSet<>(options.keySet());
    looked.addAll(ELSEWHERE);
    looked.addAll(List.of(withoutEffect));
    assertThat(looked).isEqualTo(setters(type));
    options.forEach(
        (name, option) -> {
          UnaryOperator<B> beside =
              name.equals(one) ? besideOne : name.equals(other) ? besideOther : b -> b;
          assertThat(trace(option.apply(base.get())))
              .as(name)
              .isNotEqualTo(trace(beside.apply(base.get())));
        });
  }

  private static Set<String> setters(Class<?> type) {
    return Stream.concat(
            Arrays.stream(type.getDeclaredMethods()),
            Arrays.stream(DatasetBuilder.class.getDeclaredMethods()))
        .filter(method -> Modifier.isPublic(method.getModifiers()))
        .map(Method::getName)
        .filter(name -> !name.equals("build"))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static String trace(DatasetBuilder<?, ?> builder) {
    List<String> trace = new ArrayList<>();
    try {
      SupervisedDataset dataset = builder.build();
      for (int i = 0; i < dataset.size(); i++) {
        trace.add(dataset.get(i).toString());
      }
      trace.add(dataset.report().toString());
    } catch (DataException e) {
      trace.add(e.getMessage());
    }
    return trace.toString();
  }
}
