package org.alpaca4j.core.internal.jinja;

import java.time.Clock;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A parsed template; immutable and thread-safe, parsed once and rendered many times.
 *
 * <p>Limits, so that a hostile template ends in an error: {@value Rendering#MAX_TEXT} characters or
 * items per text or list, {@value Rendering#MAX_CALLS} nested calls, {@value Rendering#MAX_WORK}
 * steps per rendering, {@value Range#MAX_LENGTH} items per range.
 */
public final class JinjaTemplate {
  private final List<Statement> body;

  private JinjaTemplate(List<Statement> body) {
    this.body = body;
  }

  /**
   * The text and the spans of its generation blocks: {start, end} in code points, end exclusive.
   */
  public record Rendered(String text, List<int[]> generationSpans) {}

  /**
   * Parses a template.
   *
   * @throws JinjaException if Jinja2 would refuse it, or it is nested too deeply
   */
  public static JinjaTemplate parse(String source) {
    try {
      return new JinjaTemplate(Parser.parse(source));
    } catch (StackOverflowError e) {
      throw JinjaException.limit("the template is nested too deeply");
    }
  }

  /**
   * Renders with variables made of strings, numbers, booleans, null, lists and maps.
   *
   * @throws JinjaException if the template fails
   */
  public Rendered render(Map<String, ? extends @Nullable Object> variables, Clock clock) {
    try {
      Map<String, Object> values = new HashMap<>();
      variables.forEach((name, value) -> values.put(name, Values.fromJava(value)));
      Rendering rendering = new Rendering(values, clock);
      Statement.runAll(body, rendering, new Scope(null), rendering.text());
      return new Rendered(rendering.text().toString(), List.copyOf(rendering.spans()));
    } catch (StackOverflowError e) {
      throw JinjaException.limit("the template or its data is nested too deeply");
    }
  }

  /** Removes white space at both ends, as Python's strip. */
  public static String strip(String text) {
    return Strings.strip(text, null, true, true);
  }

  /** Removes white space at the end, as Python's rstrip. */
  public static String rstrip(String text) {
    return Strings.rstrip(text);
  }
}
