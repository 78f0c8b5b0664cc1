package org.alpaca4j.examples;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Bytes, as transformers writes sizes: MB is 10^6 bytes, MiB is 2^20. */
final class ShardSize implements ITypeConverter<Long> {
  private static final Pattern FORM = Pattern.compile("([1-9][0-9]{0,8})([KMG])(i?)B");

  @Override
  public Long convert(String text) {
    Matcher size = FORM.matcher(ExampleCommand.withoutQuotes(text));
    if (!size.matches()) {
      throw new TypeConversionException("'" + text + "' is no size such as 500MB or 2GiB");
    }
    long unit = size.group(3).isEmpty() ? 1000 : 1024;
    long bytes = Long.parseLong(size.group(1));
    for (int i = 0; i <= "KMG".indexOf(size.group(2)); i++) {
      bytes *= unit;
    }
    return bytes;
  }
}
