package org.alpaca4j.data.selfinstruct;

import dev.failsafe.Failsafe;
import dev.failsafe.FailsafeExecutor;
import dev.failsafe.Policy;
import dev.failsafe.RateLimiter;
import dev.failsafe.RetryPolicy;
import dev.failsafe.spi.Scheduler;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model behind an HTTP endpoint that speaks OpenAI's protocol: OpenAI itself, vLLM, llama.cpp,
 * Ollama and many others.
 *
 * <p>One HTTP request per prompt, several side by side. What fails for a reason that passes (429,
 * 5xx, time-outs, cut connections, replies that cannot be read) is repeated with exponentially
 * growing, jittered delays, or after what {@code Retry-After} asks for. Where prompt and new tokens
 * together are too long for the model, the request is repeated with 0.8 times the new tokens, as
 * the original does. The API key goes to the endpoint and nowhere else; redirects are not followed.
 *
 * <p>Thread-safe.
 */
public final class OpenAiModel implements InstructionModel {
  private static final Logger log = LoggerFactory.getLogger(OpenAiModel.class);
  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");
  private static final double JITTER = 0.25;

  /** Which of the protocol's two ways to ask. */
  public enum Api {
    /** {@code chat/completions}: the prompt is the user's message. */
    CHAT,
    /** {@code completions}: the prompt is continued, as the original had it. */
    COMPLETIONS
  }

  private final OpenAiProtocol protocol;
  private final HttpClient http;
  private final FailsafeExecutor<ModelReply> failsafe;
  private final Duration timeout;
  private final int concurrency;

  private OpenAiModel(Builder options, OpenAiProtocol protocol) {
    this.protocol = protocol;
    timeout = options.timeout;
    concurrency = options.concurrency;
    http = HttpClient.newBuilder().connectTimeout(min(timeout, Duration.ofSeconds(30))).build();
    List<Policy<ModelReply>> policies = new ArrayList<>();
    policies.add(retries(options));
    if (options.requestsPerMinute != null) {
      policies.add(
          RateLimiter.<ModelReply>smoothBuilder(options.requestsPerMinute, Duration.ofMinutes(1))
              .withMaxWaitTime(Duration.ofDays(1))
              .build());
    }
    failsafe = Failsafe.with(policies).with(options.scheduler);
  }

  /** Returns a builder; only {@link Builder#model} has no default. */
  public static Builder builder() {
    return new Builder();
  }

  private RetryPolicy<ModelReply> retries(Builder options) {
    return RetryPolicy.<ModelReply>builder()
        .handleIf(OpenAiModel::passes)
        .withMaxRetries(options.maxAttempts - 1)
        .withBackoff(options.firstDelay, options.longestDelay)
        .withJitter(JITTER)
        .withDelayFn(context -> longerThan(context.getLastException()))
        .onRetryScheduled(
            event ->
                log.info(
                    "{}: {}; trying again in {} ms",
                    name(),
                    reason(event.getLastException()),
                    event.getDelay().toMillis()))
        .build();
  }

  private static boolean passes(Throwable failure) {
    return failure instanceof OpenAiProtocol.Failure answer
        ? answer.passes()
        : failure instanceof IOException || failure instanceof TimeoutException;
  }

  /** Returns such a delay that not even jitter makes it shorter than Retry-After. */
  private static Duration longerThan(@Nullable Throwable failure) {
    if (failure instanceof OpenAiProtocol.Failure answer && answer.retryAfter() != null) {
      return Duration.ofNanos((long) Math.ceil(answer.retryAfter().toNanos() / (1 - JITTER)));
    }
    return Duration.ofSeconds(-1); // negative: the policy takes its own
  }

  @Override
  public String name() {
    return protocol.name();
  }

  @Override
  public void complete(List<ModelRequest> requests, Consumer<ModelReply> replies) {
    Objects.requireNonNull(requests, "requests is null");
    Objects.requireNonNull(replies, "replies is null");
    Semaphore free = new Semaphore(concurrency);
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    List<CompletableFuture<?>> asked = new ArrayList<>();
    try {
      for (ModelRequest request : requests) {
        free.acquire();
        if (failure.get() != null) {
          break; // the others, which may be paid for already, are waited for
        }
        asked.add(
            ask(request, request.decoding().maxTokens())
                .thenAccept(replies)
                .whenComplete(
                    (done, e) -> {
                      if (e != null) {
                        failure.compareAndSet(null, cause(e));
                      }
                      free.release();
                    })
                .exceptionally(e -> null));
      }
      CompletableFuture.allOf(asked.toArray(CompletableFuture[]::new)).get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InstructionModelException(name() + ": interrupted while it waited for replies", e);
    } catch (ExecutionException e) {
      throw new IllegalStateException("failures are kept apart", e);
    }
    Throwable failed = failure.get();
    if (failed != null) {
      throw exception(failed);
    }
  }

  private CompletableFuture<ModelReply> ask(ModelRequest request, int maxTokens) {
    return failsafe
        .getStageAsync(() -> attempt(request, maxTokens))
        .exceptionallyCompose(
            e -> {
              boolean tooLong =
                  cause(e) instanceof OpenAiProtocol.Failure answer && answer.isTooLong();
              int fewer = (int) (0.8 * maxTokens);
              if (!tooLong || fewer < 1) {
                return CompletableFuture.failedFuture(e);
              }
              log.info("{}: too long, trying again with max_tokens {}", name(), fewer);
              return ask(request, fewer);
            });
  }

  private CompletableFuture<ModelReply> attempt(ModelRequest request, int maxTokens) {
    CompletableFuture<HttpResponse<byte[]>> exchange =
        http.sendAsync(
            protocol.request(request, maxTokens), HttpResponse.BodyHandlers.ofByteArray());
    // The client's own time-out ends when the headers are there, however slow the body comes.
    return exchange
        .copy()
        .orTimeout(timeout.toNanos(), TimeUnit.NANOSECONDS)
        .whenComplete(
            (response, e) -> {
              if (e != null) {
                exchange.cancel(true);
              }
            })
        .thenApply(response -> protocol.reply(request, response));
  }

  private static Throwable cause(Throwable e) {
    return e instanceof CompletionException && e.getCause() != null ? e.getCause() : e;
  }

  private RuntimeException exception(Throwable failure) {
    if (failure instanceof RuntimeException own && !(own instanceof OpenAiProtocol.Failure)) {
      return own; // the receiver of replies could not save one
    }
    return new InstructionModelException(
        name()
            + ": "
            + reason(failure)
            + "; what was answered before is saved, and another run goes on from there");
  }

  private String reason(@Nullable Throwable failure) {
    if (failure instanceof TimeoutException) {
      return "no complete answer within " + timeout.toMillis() + " ms (timeout)";
    }
    return failure instanceof OpenAiProtocol.Failure
        ? String.valueOf(failure.getMessage())
        : String.valueOf(failure);
  }

  private static Duration min(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  /** Options to be checked and put together by {@link #build}. Not thread-safe. */
  public static final class Builder {
    private static final URI OPENAI = URI.create("https://api.openai.com/v1");

    private URI baseUrl = OPENAI;
    private @Nullable String model;
    private Api api = Api.CHAT;
    private String apiKeyVariable = "OPENAI_API_KEY";
    private UnaryOperator<@Nullable String> environment = System::getenv;
    private int concurrency = 5;
    private Duration timeout = Duration.ofMinutes(5);
    private int maxAttempts = 8;
    private Duration firstDelay = Duration.ofSeconds(2);
    private Duration longestDelay = Duration.ofMinutes(1);
    private @Nullable Integer requestsPerMinute;
    private Scheduler scheduler = Scheduler.DEFAULT;

    private Builder() {}

    /** Sets the endpoint, up to the version; default {@code https://api.openai.com/v1}. */
    public Builder baseUrl(URI value) {
      Objects.requireNonNull(value, "baseUrl is null");
      baseUrl = value;
      return this;
    }

    /** Sets the model's name as the endpoint knows it; required. */
    public Builder model(String value) {
      Objects.requireNonNull(value, "model is null");
      model = value;
      return this;
    }

    /** Sets which way to ask; default {@link Api#CHAT}. */
    public Builder api(Api value) {
      Objects.requireNonNull(value, "api is null");
      api = value;
      return this;
    }

    /**
     * Sets the name of the environment variable that has the API key; default {@code
     * OPENAI_API_KEY}. Where it is not set, requests carry no key.
     */
    public Builder apiKeyVariable(String value) {
      Objects.requireNonNull(value, "apiKeyVariable is null");
      apiKeyVariable = value;
      return this;
    }

    /** Sets how many requests may be under way at once; default 5. */
    public Builder concurrency(int value) {
      concurrency = value;
      return this;
    }

    /** Sets how long one attempt may take, its body included; default 5 minutes. */
    public Builder timeout(Duration value) {
      Objects.requireNonNull(value, "timeout is null");
      timeout = value;
      return this;
    }

    /** Sets how often a request is tried in all; default 8. */
    public Builder maxAttempts(int value) {
      maxAttempts = value;
      return this;
    }

    /**
     * Sets the delay before the second attempt, which doubles with each further one, and the
     * longest one; default 2 seconds and 1 minute.
     */
    public Builder backoff(Duration first, Duration longest) {
      Objects.requireNonNull(first, "first is null");
      Objects.requireNonNull(longest, "longest is null");
      firstDelay = first;
      longestDelay = longest;
      return this;
    }

    /** Sets how many requests may be sent in a minute, evenly spread; default: any number. */
    public Builder requestsPerMinute(int value) {
      requestsPerMinute = value;
      return this;
    }

    /** Sets the environment to look the key up in, and what waits; for tests. */
    Builder surroundings(UnaryOperator<@Nullable String> variables, Scheduler waiting) {
      environment = variables;
      scheduler = waiting;
      return this;
    }

    /**
     * Returns the model; nothing is sent yet.
     *
     * @throws IllegalArgumentException if a value is out of range, the endpoint is no HTTP address,
     *     or OpenAI's own endpoint is to be used without a key
     */
    public OpenAiModel build() {
      require(concurrency >= 1, "concurrency", concurrency);
      require(maxAttempts >= 1, "maxAttempts", maxAttempts);
      require(timeout.compareTo(Duration.ZERO) > 0, "timeout", timeout);
      require(
          firstDelay.compareTo(Duration.ZERO) > 0 && firstDelay.compareTo(longestDelay) < 0,
          "backoff",
          firstDelay + ", " + longestDelay);
      require(
          requestsPerMinute == null || requestsPerMinute >= 1,
          "requestsPerMinute",
          String.valueOf(requestsPerMinute));
      checkBaseUrl();
      String key = key();
      if (key == null && baseUrl.equals(OPENAI)) {
        throw new IllegalArgumentException(
            "the environment variable "
                + apiKeyVariable
                + " is not set, and "
                + OPENAI
                + " asks for"
                + " a key; set it, or name another endpoint with baseUrl");
      }
      if (key != null
          && "http".equals(baseUrl.getScheme())
          && !LOOPBACK.contains(baseUrl.getHost())) {
        log.warn("{}: the API key goes over the network unencrypted", baseUrl);
      }
      return new OpenAiModel(
          this,
          new OpenAiProtocol(baseUrl, Objects.requireNonNull(model, "model is not set"), api, key));
    }

    private void checkBaseUrl() {
      String scheme = String.valueOf(baseUrl.getScheme());
      if (baseUrl.getHost() == null || !(scheme.equals("http") || scheme.equals("https"))) {
        throw new IllegalArgumentException(
            "baseUrl is not the address of an HTTP endpoint, such as " + OPENAI);
      }
      if (baseUrl.getUserInfo() != null || baseUrl.getQuery() != null) {
        throw new IllegalArgumentException(
            "baseUrl has user information or a query, which would be logged; the key is taken from"
                + " the environment variable "
                + apiKeyVariable);
      }
    }

    private @Nullable String key() {
      String key = environment.apply(apiKeyVariable);
      if (key == null || key.isBlank()) {
        return null;
      }
      String stripped = key.strip();
      // Checked here, because the HTTP client's message would show it.
      if (!stripped.chars().allMatch(c -> c > ' ' && c < 127)) {
        throw new IllegalArgumentException(
            "the environment variable " + apiKeyVariable + " has characters that no API key has");
      }
      return stripped;
    }

    private static void require(boolean inRange, String name, Object value) {
      if (!inRange) {
        throw new IllegalArgumentException(
            name + " = " + value + " is out of range; see OpenAiModel.Builder." + name);
      }
    }
  }
}
