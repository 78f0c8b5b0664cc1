package org.alpaca4j.data.selfinstruct;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kills runs against a server with all its moods: {@code mvn -Pkill verify}, with {@code
 * -Dkills=30} and {@code -Dseed=…} (default: of the clock; printed).
 */
@Tag("kill")
class SelfInstructKillIT {
  private static final int INSTRUCTIONS = 300;

  @TempDir Path parent;

  /** How often each prompt was asked for, by the life of the child that asked. */
  private final Map<String, Set<Integer>> lives = new ConcurrentHashMap<>();

  private final Map<String, AtomicInteger> attempts = new ConcurrentHashMap<>();
  private final AtomicInteger served = new AtomicInteger();

  /** The child: one run, as a user would start it. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) {
      pipeline(URI.create(arguments[0]), arguments[1], Path.of(arguments[2])).run();
    }
  }

  private static SelfInstruct pipeline(URI url, String life, Path folder) {
    return SelfInstruct.builder()
        .seedTasks(ScriptedReplies.seedTasks(60))
        .model(
            OpenAiModel.builder()
                .baseUrl(url)
                .model(life)
                .api(OpenAiModel.Api.COMPLETIONS)
                .backoff(Duration.ofMillis(5), Duration.ofMillis(50))
                .timeout(Duration.ofSeconds(3))
                .maxAttempts(20)
                .build())
        .outputDirectory(folder)
        .numInstructions(INSTRUCTIONS)
        .build();
  }

  @Test
  void aRunKilledManyTimesEndsAsAnUndisturbedOneAndPaysForNothingTwice() throws Exception {
    int kills = Integer.getInteger("kills", 30);
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    Path undisturbed = parent.resolve("undisturbed");
    Path killed = parent.resolve("killed");
    try (OpenAiServer server = new OpenAiServer(this::answer)) {
      assertThat(start(server, -1, undisturbed).waitFor()).isZero();
      lives.clear();
      attempts.clear();

      int early = 0;
      for (int life = 0; life < kills; life++) {
        served.set(0);
        Process child = start(server, life, killed);
        if (life % 6 == 5) { // while it starts and reads what there is
          child.waitFor(random.nextInt(600), TimeUnit.MILLISECONDS);
          early++;
        } else {
          int replies = 1 + random.nextInt(4);
          while (served.get() < replies && child.isAlive()) {
            Thread.onSpinWait();
          }
          child.waitFor(random.nextInt(30), TimeUnit.MILLISECONDS);
        }
        assertThat(child.isAlive()).as("seed %s: kill %s is on the way", seed, life).isTrue();
        child.destroyForcibly().waitFor();
        forbid(saved(server, killed), life);
      }
      assertThat(start(server, kills, killed).waitFor()).isZero();
      checkNothingWasPaidTwice(seed);

      assertThat(killed.resolve("regen.json"))
          .as("seed %s", seed)
          .hasSameBinaryContentAs(undisturbed.resolve("regen.json"));
      int records = RegenFile.count(killed);
      assertThat(records).isGreaterThanOrEqualTo(INSTRUCTIONS);
      System.out.printf(
          "%d kills (%d of them while starting): %d records, %d requests saved, %d sent%n",
          kills, early, records, saved(server, killed).size(), server.received.size());
    }
  }

  // Prompts whose replies were found on the disk after a life, and that life.
  private final Map<String, Integer> paid = new ConcurrentHashMap<>();

  private void forbid(Set<String> prompts, int life) {
    prompts.forEach(prompt -> paid.putIfAbsent(prompt, life));
  }

  private void checkNothingWasPaidTwice(long seed) {
    assertThat(paid).isNotEmpty();
    paid.forEach(
        (prompt, life) ->
            assertThat(lives.get(prompt))
                .as("seed %s: lives that asked for what was saved in life %s", seed, life)
                .allMatch(asking -> asking <= life));
  }

  private Set<String> saved(OpenAiServer server, Path folder) throws IOException {
    Set<String> prompts = new HashSet<>();
    Path file = folder.resolve("replies.jsonl");
    String text = Files.exists(file) ? Files.readString(file) : "";
    SelfInstruct pipeline = pipeline(server.url(), "none", folder);
    for (String line : text.substring(0, text.lastIndexOf('\n') + 1).split("\n")) {
      JsonNode reply = OpenAiServer.JSON.readTree(line);
      if (reply.has("request")) {
        assertThat(prompts.add(pipeline.prompt(reply.get("request").longValue()))).isTrue();
      }
    }
    return prompts;
  }

  /** The first attempt for a prompt may fail in any way; later ones succeed. */
  private void answer(HttpExchange exchange, OpenAiServer.Received request) throws IOException {
    String prompt = request.prompt();
    int life = Integer.parseInt(request.body().get("model").textValue());
    lives.computeIfAbsent(prompt, p -> ConcurrentHashMap.newKeySet()).add(life);
    int attempt = attempts.computeIfAbsent(prompt, p -> new AtomicInteger()).getAndIncrement();
    ModelReply reply =
        ScriptedReplies.reply(new ModelRequest(0, prompt, DecodingOptions.ofDefaults()));
    String body = OpenAiServer.body(request, reply.text(), String.valueOf(reply.finishReason()));
    switch (attempt == 0 ? Math.floorMod(prompt.hashCode(), 12) : -1) {
      case 0 -> {
        exchange.getResponseHeaders().set("Retry-After", "0");
        OpenAiServer.error(exchange, 429, "slow down");
      }
      case 1 -> OpenAiServer.error(exchange, 500, "oops");
      case 2 -> OpenAiServer.truncated(exchange, body);
      case 3 -> OpenAiServer.send(exchange, 200, body.substring(0, body.length() / 2));
      case 4 -> slowly(exchange, body);
      case 5 -> {
        if (Math.floorMod(prompt.hashCode(), 5) == 0) {
          slowly(exchange, body + " ".repeat(100_000)); // beyond the time-out
        } else {
          OpenAiServer.error(exchange, 400, "Please reduce your prompt");
        }
      }
      default -> {
        OpenAiServer.send(exchange, 200, body);
        served.incrementAndGet();
      }
    }
  }

  private void slowly(HttpExchange exchange, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(200, bytes.length);
    for (int i = 0; i < bytes.length; i += 20) {
      exchange.getResponseBody().write(bytes, i, Math.min(20, bytes.length - i));
      exchange.getResponseBody().flush();
      try {
        TimeUnit.MILLISECONDS.sleep(2);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
    served.incrementAndGet();
  }

  private static Process start(OpenAiServer server, int life, Path folder) throws IOException {
    ProcessBuilder child =
        new ProcessBuilder(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                server.url().toString(),
                String.valueOf(life),
                folder.toString()));
    child.environment().remove("OPENAI_API_KEY");
    File log = folder.resolveSibling("child.log").toFile();
    return child
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(log))
        .start();
  }
}
