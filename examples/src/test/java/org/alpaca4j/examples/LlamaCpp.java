package org.alpaca4j.examples;

import com.fasterxml.jackson.databind.ObjectMapper;
import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.LlamaOutput;
import de.kherud.llama.ModelParameters;
import de.kherud.llama.Pair;
import de.kherud.llama.args.CacheType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Asks llama.cpp (java-llama.cpp), in a process of its own: in one with libtorch it ends with
 * std::bad_alloc.
 */
final class LlamaCpp {
  /** The most tokens of an answer. */
  static final int MOST_TOKENS = 64;

  private static final ObjectMapper JSON = new ObjectMapper();

  private LlamaCpp() {}

  /**
   * A question.
   *
   * @param user what the user says
   * @param prompt the same as the model is asked, without the token that begins every text
   */
  record Question(String user, String prompt) {}

  /**
   * What llama.cpp makes of it.
   *
   * @param templated what the user says by the file's chat template, likewise
   * @param ids the prompt's tokens
   * @param text the answer, greedy
   * @param parts how many parts it came in: one for each token
   */
  record Answer(String templated, int[] ids, String text, int parts) {}

  /** Returns the answers of a GGUF file's model. */
  static List<Answer> ask(Path gguf, List<Question> questions) {
    Path asked = gguf.resolveSibling("questions.json");
    Path answered = gguf.resolveSibling("answers.json");
    try {
      JSON.writeValue(asked.toFile(), questions);
      Process child =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-Dde.kherud.llama.tmpdir=" + gguf.getParent(),
                  "-cp",
                  System.getProperty("java.class.path"),
                  LlamaCpp.class.getName(),
                  gguf.toString(),
                  asked.toString(),
                  answered.toString())
              .redirectErrorStream(true)
              .start();
      String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (child.waitFor() != 0) {
        throw new AssertionError("llama.cpp on " + gguf + ":\n" + said);
      }
      return List.of(JSON.readValue(answered.toFile(), Answer[].class));
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Answers; the arguments are the GGUF file, the questions' and the answers'. */
  public static void main(String[] args) throws IOException {
    ModelParameters parameters =
        new ModelParameters()
            .setModel(args[0])
            .setCtxSize(512)
            .setThreads(1)
            .setCacheTypeK(CacheType.F32)
            .setCacheTypeV(CacheType.F32)
            .enableJinja();
    List<Answer> answers = new ArrayList<>();
    try (LlamaModel model = new LlamaModel(parameters)) {
      for (Question question : JSON.readValue(Path.of(args[1]).toFile(), Question[].class)) {
        answers.add(answer(model, question));
      }
    }
    JSON.writeValue(Path.of(args[2]).toFile(), answers);
    Runtime.getRuntime().halt(0); // its library at times does not let the process end
  }

  private static Answer answer(LlamaModel model, Question question) {
    InferenceParameters messages = new InferenceParameters("");
    messages.setMessages(null, List.of(new Pair<>("user", question.user)));
    InferenceParameters greedy = new InferenceParameters(question.prompt);
    greedy.setTemperature(0).setNPredict(MOST_TOKENS);
    StringBuilder text = new StringBuilder();
    int parts = 0;
    for (LlamaOutput part : model.generate(greedy)) {
      text.append(part.text);
      parts++;
    }
    return new Answer(
        model.applyTemplate(messages), model.encode(question.prompt), text.toString(), parts);
  }
}
