package org.alpaca4j.core.internal.jinja;

/**
 * A string marked safe for HTML ({@code |safe}, {@code |escape}): joining it escapes the others.
 */
record Markup(String text) {

  static String escape(Object value) {
    if (value instanceof Markup markup) {
      return markup.text;
    }
    return Values.str(value)
        .replace("&", "&amp;")
        .replace(">", "&gt;")
        .replace("<", "&lt;")
        .replace("'", "&#39;")
        .replace("\"", "&#34;");
  }
}
