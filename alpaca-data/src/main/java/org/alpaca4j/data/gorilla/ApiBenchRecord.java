package org.alpaca4j.data.gorilla;

import java.time.Clock;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.alpaca4j.core.internal.jinja.JinjaTemplate;
import org.jspecify.annotations.Nullable;

/**
 * A record of APIBench.
 *
 * @param line where it stands in its file, from 1; 0 where there are no lines
 * @param code instruction and answer
 * @param apiCall the reference call, Python source; not always valid
 * @param provider who offers the API; empty if the record does not say
 * @param apiData the API's documentation, in the file's order
 */
public record ApiBenchRecord(
    int line,
    ApiBenchCode code,
    String apiCall,
    String provider,
    Map<String, @Nullable Object> apiData) {

  private static final JinjaTemplate AS_JSON = JinjaTemplate.parse("{{ document | tojson }}");

  /** Copies the documentation. */
  public ApiBenchRecord {
    apiData = Collections.unmodifiableMap(new LinkedHashMap<>(apiData));
  }

  /**
   * Returns the API's documentation as text: JSON on one line, as Python's {@code json.dumps(…,
   * ensure_ascii=False)} writes it.
   */
  public String document() {
    return AS_JSON.render(Map.of("document", apiData), Clock.systemUTC()).text();
  }
}
