package org.alpaca4j.core.internal;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpHeaders;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class RetryAfterTest {
  private static final Instant NOW = Instant.parse("2015-10-21T07:28:00Z");

  @Test
  void isSecondsOrADate() {
    assertThat(of("17")).contains(Duration.ofSeconds(17));
    assertThat(of("Wed, 21 Oct 2015 07:28:05 GMT")).contains(Duration.ofSeconds(5));
  }

  @Test
  void aDateThatIsPastMeansNow() {
    assertThat(of("Wed, 21 Oct 2015 07:27:59 GMT")).contains(Duration.ZERO);
  }

  @Test
  void whatCannotBeReadSaysNothing() {
    assertThat(of("soon")).isEmpty();
    assertThat(of("-1")).isEmpty();
    assertThat(of("9999999999")).isEmpty();
    assertThat(RetryAfter.of(HttpHeaders.of(Map.of(), (name, value) -> true), NOW)).isEmpty();
  }

  private static Optional<Duration> of(String value) {
    return RetryAfter.of(
        HttpHeaders.of(Map.of("Retry-After", List.of(value)), (name, v) -> true), NOW);
  }
}
