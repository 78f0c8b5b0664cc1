package org.alpaca4j.data.selfinstruct;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** What a made-up model answers: a pure function of the prompt. */
final class ScriptedReplies {
  private static final List<String> COMMON =
      List.of(
          "Summarize the following paragraph in one sentence.",
          "Translate the sentence given below into Spanish.",
          "Draw a picture of a house and a tree.",
          "Write a program that adds two numbers.",
          "Too short.");

  private ScriptedReplies() {}

  static List<SeedTask> seedTasks(int count) {
    Random random = new Random(7);
    return IntStream.range(0, count)
        .mapToObj(i -> new SeedTask(sentence(random), i % 2 == 0 ? "" : word(random), "é " + i))
        .toList();
  }

  /** Some tasks, most of them new, some of no use; every ninth reply is cut. */
  static ModelReply reply(ModelRequest request) {
    Random random = new Random(request.prompt().hashCode());
    String opening = request.prompt().substring(request.prompt().lastIndexOf('\n') + 1);
    int number = Integer.parseInt(opening.substring(0, opening.indexOf('.')));
    List<String> tasks = new ArrayList<>();
    int count = 2 + random.nextInt(3);
    for (int i = 0; i < count; i++) {
      String instruction =
          random.nextInt(3) == 0 ? COMMON.get(random.nextInt(COMMON.size())) : sentence(random);
      tasks.add(task(number + i, instruction, random));
    }
    String text = String.join("###\n", tasks).substring(opening.length());
    boolean cut = random.nextInt(9) == 0;
    return new ModelReply(request.number(), text, cut ? "length" : "stop", new TokenUsage(100, 10));
  }

  private static String task(int number, String instruction, Random random) {
    String input = random.nextBoolean() ? "<noinput>" : "Größe 图 " + word(random);
    return "%d. Instruction: %s\n%d. Input:\n%s\n%d. Output:\n%s\n"
        .formatted(number, instruction, number, input, number, sentence(random));
  }

  private static String sentence(Random random) {
    String words =
        IntStream.range(0, 5 + random.nextInt(8))
            .mapToObj(i -> word(random))
            .collect(Collectors.joining(" "));
    return Character.toUpperCase(words.charAt(0)) + words.substring(1) + ".";
  }

  private static String word(Random random) {
    return "" + (char) ('a' + random.nextInt(26)) + (char) ('a' + random.nextInt(26)) + "er";
  }
}
