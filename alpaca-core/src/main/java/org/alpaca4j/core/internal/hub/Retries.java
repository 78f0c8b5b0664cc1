package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.net.ConnectException;
import java.net.http.HttpConnectTimeoutException;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongSupplier;
import org.alpaca4j.core.HubException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Repeats what fails for reasons that pass: cut connections, time-outs, a hub that is busy. */
final class Retries {
  private static final Logger log = LoggerFactory.getLogger(Retries.class);
  private static final Set<Integer> PASSING = Set.of(408, 429, 500, 502, 503, 504);
  private static final Duration FIRST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofMinutes(5);

  /** One attempt. */
  @FunctionalInterface
  interface Attempt<T> {
    /** Returns the result, or throws: an IOException or a Passing is tried again. */
    T run() throws IOException, InterruptedException;
  }

  /** An answer that may be another one a little later. */
  static final class Passing extends IOException {
    private static final long serialVersionUID = 1L;
    private final HubException failure;
    private final Optional<Duration> retryAfter;

    Passing(HubException failure, Optional<Duration> retryAfter) {
      super(failure.getMessage());
      this.failure = failure;
      this.retryAfter = retryAfter;
    }
  }

  private static final int ATTEMPTS_TO_CONNECT = 2;

  private final int attempts;
  private final HubAccess.Pause pause;

  Retries(int attempts, HubAccess.Pause pause) {
    this.attempts = attempts;
    this.pause = pause;
  }

  static boolean isPassing(int status) {
    return PASSING.contains(status);
  }

  /**
   * Runs until it succeeds, or has failed several times without getting any further.
   *
   * @param progress how far it has come, a number that grows
   */
  <T> T run(String what, LongSupplier progress, Attempt<T> attempt) throws InterruptedException {
    int failed = 0;
    Duration wait = FIRST;
    while (true) {
      long before = progress.getAsLong();
      try {
        return attempt.run();
      } catch (IOException e) {
        if (progress.getAsLong() > before) {
          failed = 0;
          wait = FIRST;
        }
        failed++;
        Optional<Duration> asked =
            e instanceof Passing passing ? passing.retryAfter : Optional.empty();
        int most = isUnreachable(e) ? Math.min(attempts, ATTEMPTS_TO_CONNECT) : attempts;
        if (failed >= most || asked.filter(d -> d.compareTo(LONGEST) > 0).isPresent()) {
          throw e instanceof Passing passing ? passing.failure : failure(what, e);
        }
        Duration next = asked.orElse(wait);
        String reason = e instanceof Passing ? e.getMessage() : e.toString();
        log.info("{}: {}; trying again in {} ms", what, reason, next.toMillis());
        pause.await(next);
        wait = wait.multipliedBy(2);
      }
    }
  }

  /** Who has no network is told so within seconds. */
  private static boolean isUnreachable(IOException e) {
    return e instanceof ConnectException || e instanceof HttpConnectTimeoutException;
  }

  private HubException failure(String what, IOException e) {
    return new HubException(
        what
            + " failed: "
            + e
            + ". Check the network, or set HF_ENDPOINT to a mirror that can be reached; what has"
            + " come so far is kept, and the next call goes on from there",
        e);
  }
}
