package org.alpaca4j.core.internal.generation;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class TextStreamTest {
  @Test
  void holdsBackWhatMayBecomeAStopString() {
    TextStream stream = new TextStream(List.of("###", "END"));

    assertThat(stream.append("a#")).isFalse();
    assertThat(stream.take()).isEqualTo("a");
    assertThat(stream.append("#b")).isFalse();
    assertThat(stream.take()).isEqualTo("##b");
    assertThat(stream.append("EN")).isFalse();
    assertThat(stream.take()).isEmpty();
    assertThat(stream.takeRest()).isEqualTo("EN");
    assertThat(stream.text()).isEqualTo("a##bEN");
  }

  @Test
  void endsBeforeTheFirstStopString() {
    TextStream stream = new TextStream(List.of("cd", "b"));

    assertThat(stream.append("abcd")).isTrue();
    assertThat(stream.take()).isEqualTo("a");
    assertThat(stream.append("e")).isTrue();
    assertThat(stream.text()).isEqualTo("a");
  }

  @Test
  void givesAllTextAtOnceWithoutStopStrings() {
    TextStream stream = new TextStream(List.of());

    stream.append("ab");

    assertThat(stream.take()).isEqualTo("ab");
    assertThat(stream.take()).isEmpty();
  }
}
