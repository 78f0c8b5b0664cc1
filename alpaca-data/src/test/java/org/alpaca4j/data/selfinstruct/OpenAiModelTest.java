package org.alpaca4j.data.selfinstruct;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import dev.failsafe.spi.Scheduler;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class OpenAiModelTest {
  private static final String KEY = "sk-secret-0123456789";

  private final ScheduledExecutorService executor = Executors.newSingleThreadScheduledExecutor();
  private final List<Duration> delays = new CopyOnWriteArrayList<>();
  private final Scheduler withoutWaiting =
      (task, delay, unit) -> {
        delays.add(Duration.of(delay, unit.toChronoUnit()));
        return executor.schedule(task, 0, TimeUnit.NANOSECONDS);
      };

  @AfterEach
  void stop() {
    executor.shutdownNow();
  }

  @ParameterizedTest
  @EnumSource
  void sendsWhatTheOriginalSends(OpenAiModel.Api api) throws IOException {
    try (OpenAiServer server = new OpenAiServer((e, r) -> OpenAiServer.reply(e, r, " a", "stop"))) {
      assertThat(complete(model(server).api(api).build(), 1))
          .containsExactly(new ModelReply(0, " a", "stop", new TokenUsage(100, 10)));
      OpenAiServer.Received request = server.received.get(0);
      assertThat(request.authorization()).isEqualTo("Bearer " + KEY);
      assertThat(request.prompt()).isEqualTo("prompt 0");
      assertThat(request.body().get("model").textValue()).isEqualTo("m");
      assertThat(request.body().get("temperature")).hasToString("1.0");
      assertThat(request.body().get("top_p")).hasToString("1.0");
      assertThat(request.body().get("n")).hasToString("1");
      assertThat(request.body().get("max_tokens")).hasToString("3072");
      assertThat(request.body().get("stop")).hasToString("[\"\\n20\",\"20.\",\"20.\"]");
      assertThat(request.body().get("logit_bias")).hasToString("{\"50256\":-100}");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"429", "500", "truncated", "malformed", "no choices"})
  void repeatsWhatPasses(String failure) throws IOException {
    AtomicInteger attempts = new AtomicInteger();
    try (OpenAiServer server =
        new OpenAiServer(
            (exchange, request) -> {
              if (attempts.getAndIncrement() < 3) {
                fail(failure, exchange, request);
              } else {
                OpenAiServer.reply(exchange, request, "a", "stop");
              }
            })) {
      assertThat(complete(model(server).build(), 1)).extracting(ModelReply::text).containsOnly("a");
      assertThat(attempts).hasValue(4);
      List<Duration> waits = delays.stream().filter(d -> !d.isZero()).toList();
      assertThat(waits).hasSize(3);
      for (int i = 0; i < 3; i++) { // 2, 4 and 8 seconds, a quarter more or less
        assertThat(waits.get(i)).isBetween(millis(1500L << i), millis(2500L << i));
      }
    }
  }

  private static void fail(String how, HttpExchange exchange, OpenAiServer.Received request)
      throws IOException {
    switch (how) {
      case "truncated" -> OpenAiServer.truncated(exchange, OpenAiServer.body(request, "a", "stop"));
      case "malformed" -> OpenAiServer.send(exchange, 200, "{\"choices\": [{\"text\": \"a");
      case "no choices" -> OpenAiServer.send(exchange, 200, "{\"choices\": []}");
      default -> OpenAiServer.error(exchange, Integer.parseInt(how), "try later");
    }
  }

  @Test
  void waitsAsLongAsTheServerAsks() throws IOException {
    AtomicInteger attempts = new AtomicInteger();
    try (OpenAiServer server =
        new OpenAiServer(
            (exchange, request) -> {
              if (attempts.getAndIncrement() == 0) {
                exchange.getResponseHeaders().set("Retry-After", "17");
                OpenAiServer.error(exchange, 429, "slow down");
              } else {
                OpenAiServer.reply(exchange, request, "a", "stop");
              }
            })) {
      complete(model(server).build(), 1);
      assertThat(delays.stream().filter(d -> !d.isZero()))
          .singleElement()
          .satisfies(d -> assertThat(d).isBetween(millis(17_000), millis(28_400)));
    }
  }

  @Test
  void givesUpABodyThatDoesNotCome() throws IOException {
    AtomicInteger attempts = new AtomicInteger();
    OpenAiServer[] server = new OpenAiServer[1];
    try (OpenAiServer opened =
        new OpenAiServer(
            (exchange, request) -> {
              if (attempts.getAndIncrement() == 0) {
                server[0].hang(exchange);
              } else {
                OpenAiServer.reply(exchange, request, "a", "stop");
              }
            })) {
      server[0] = opened;
      OpenAiModel model = model(opened).timeout(Duration.ofMillis(500)).maxAttempts(100).build();
      assertThat(complete(model, 1)).hasSize(1);
      assertThat(attempts.get()).isGreaterThan(1);
    }
  }

  @Test
  void asksForFewerTokensWhereTheContextIsTooShort() throws IOException {
    List<Integer> asked = new ArrayList<>();
    try (OpenAiServer server =
        new OpenAiServer(
            (exchange, request) -> {
              asked.add(request.body().get("max_tokens").intValue());
              if (asked.size() < 4) {
                OpenAiServer.error(exchange, 400, "Too long. Please reduce your prompt; or else");
              } else {
                OpenAiServer.reply(exchange, request, "a", "stop");
              }
            })) {
      complete(model(server).build(), 1);
      assertThat(asked).containsExactly(3072, 2457, 1965, 1572);
    }
  }

  @Test
  void neverAsksForNoTokens() throws IOException {
    try (OpenAiServer server =
        new OpenAiServer((e, r) -> OpenAiServer.error(e, 400, "Please reduce your prompt"))) {
      assertThatThrownBy(() -> complete(model(server).build(), 1))
          .isInstanceOf(InstructionModelException.class)
          .hasMessageContaining("Please reduce your prompt");
      assertThat(server.received)
          .hasSizeLessThan(40)
          .allSatisfy(r -> assertThat(r.body().get("max_tokens").intValue()).isPositive());
    }
  }

  @Test
  void triesABoundedNumberOfTimes() throws IOException {
    try (OpenAiServer server =
        new OpenAiServer((e, r) -> OpenAiServer.error(e, 503, "overloaded"))) {
      assertThatThrownBy(() -> complete(model(server).maxAttempts(3).build(), 1))
          .isInstanceOf(InstructionModelException.class)
          .hasMessageContaining("answers 503")
          .hasMessageContaining("overloaded");
      assertThat(server.received).hasSize(3);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {302, 400, 401, 404})
  void doesNotRepeatWhatStays(int status) throws IOException {
    try (OpenAiServer server = new OpenAiServer((e, r) -> OpenAiServer.error(e, status, "no"))) {
      assertThatThrownBy(() -> complete(model(server).build(), 1))
          .isInstanceOf(InstructionModelException.class);
      assertThat(server.received).hasSize(1);
    }
  }

  @Test
  void neverShowsTheKey() throws IOException {
    try (OpenAiServer server =
        new OpenAiServer((e, r) -> OpenAiServer.error(e, 401, "wrong key " + KEY))) {
      assertThatThrownBy(() -> complete(model(server).build(), 1))
          .hasMessageContaining("wrong key (the API key)")
          .satisfies(
              e -> {
                for (Throwable t = e; t != null; t = t.getCause()) {
                  assertThat(t.toString()).doesNotContain(KEY);
                }
              });
    }
    assertThatThrownBy(
            () ->
                OpenAiModel.builder()
                    .model("m")
                    .surroundings(name -> KEY + "\n" + KEY, withoutWaiting)
                    .build())
        .hasMessageContaining("OPENAI_API_KEY")
        .hasMessageNotContaining(KEY);
  }

  @Test
  void wantsAKeyForOpenAiAlone() {
    OpenAiModel.Builder builder =
        OpenAiModel.builder().model("m").surroundings(name -> null, withoutWaiting);
    assertThatThrownBy(builder::build).hasMessageContaining("OPENAI_API_KEY is not set");
    assertThat(builder.baseUrl(URI.create("http://localhost:8000/v1")).build().name())
        .isEqualTo("m at http://localhost:8000/v1/chat/completions");
  }

  @Test
  void keepsWithinItsConcurrency() throws IOException {
    AtomicInteger running = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    CountDownLatch three = new CountDownLatch(3);
    try (OpenAiServer server =
        new OpenAiServer(
            (exchange, request) -> {
              most.accumulateAndGet(running.incrementAndGet(), Math::max);
              three.countDown();
              try {
                three.await();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              running.decrementAndGet();
              OpenAiServer.reply(exchange, request, "a", "stop");
            })) {
      assertThat(complete(model(server).concurrency(3).build(), 9)).hasSize(9);
      assertThat(most).hasValue(3);
    }
  }

  @Test
  void spreadsRequestsEvenly() throws IOException {
    try (OpenAiServer server = new OpenAiServer((e, r) -> OpenAiServer.reply(e, r, "a", "stop"))) {
      complete(model(server).requestsPerMinute(6).build(), 3);
      assertThat(delays.stream().max(Duration::compareTo).orElseThrow())
          .isBetween(Duration.ofSeconds(10), Duration.ofSeconds(20));
    }
  }

  @Test
  void tellsOfWhatCameBeforeAFailure() throws IOException {
    Map<Long, ModelReply> replies = new ConcurrentHashMap<>();
    try (OpenAiServer server =
        new OpenAiServer(
            (exchange, request) -> {
              if (request.prompt().equals("prompt 1")) {
                OpenAiServer.error(exchange, 400, "refused");
              } else {
                OpenAiServer.reply(exchange, request, "a", "stop");
              }
            })) {
      OpenAiModel model = model(server).concurrency(1).build();
      assertThatThrownBy(() -> model.complete(requests(3), r -> replies.put(r.request(), r)))
          .hasMessageContaining("refused");
      assertThat(replies).containsOnlyKeys(0L);
    }
  }

  @Test
  void removesTheLineThatAChatModelRepeats() throws IOException {
    try (OpenAiServer server =
        new OpenAiServer((e, r) -> OpenAiServer.reply(e, r, "4. Instruction: Do", "stop"))) {
      List<ModelReply> replies = new CopyOnWriteArrayList<>();
      model(server)
          .build()
          .complete(
              List.of(new ModelRequest(0, "###\n4. Instruction:", DecodingOptions.ofDefaults())),
              replies::add);
      assertThat(replies).extracting(ModelReply::text).containsExactly(" Do");
    }
  }

  private OpenAiModel.Builder model(OpenAiServer server) {
    return OpenAiModel.builder()
        .baseUrl(server.url())
        .model("m")
        .surroundings(name -> KEY, withoutWaiting);
  }

  private static List<ModelReply> complete(OpenAiModel model, int requests) {
    List<ModelReply> replies = new CopyOnWriteArrayList<>();
    model.complete(requests(requests), replies::add);
    return replies;
  }

  private static List<ModelRequest> requests(int count) {
    return LongStream.range(0, count)
        .mapToObj(i -> new ModelRequest(i, "prompt " + i, DecodingOptions.ofDefaults()))
        .toList();
  }

  private static Duration millis(long value) {
    return Duration.ofMillis(value);
  }
}
