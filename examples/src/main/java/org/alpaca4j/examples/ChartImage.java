package org.alpaca4j.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.internal.chartpart.Chart;

/** Charts as files. */
final class ChartImage {
  private ChartImage() {}

  /**
   * Writes a PNG, and the folders that it lies in.
   *
   * @return where the plot is; or, where Java has no fonts to draw with, that it is not
   * @throws IOException if the file cannot be written
   */
  static String save(Chart<?, ?> chart, Path png) throws IOException {
    Path folder = png.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    try {
      Files.write(png, ChartEncoder.getBytes(chart, "png"));
    } catch (InternalError | LinkageError e) { // A minimal Java, as in some containers.
      return "not drawn, this Java has no fonts: install fontconfig and a font (" + e + ")";
    }
    return png.toAbsolutePath().toString();
  }
}
