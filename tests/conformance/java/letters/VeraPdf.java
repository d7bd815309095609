import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.ValidationResult;

/** Asks veraPDF about PDF/UA-1. Arguments: a folder. Prints one line a PDF: name, number of checks, failed rules. */
public class VeraPdf {
  public static void main(String[] arguments) throws Exception {
    VeraGreenfieldFoundryProvider.initialise();
    File[] files = new File(arguments[0]).listFiles((folder, name) -> name.endsWith(".pdf"));
    Arrays.sort(files);
    for (File file : files) {
      try (PDFAParser parser = Foundries.defaultInstance().createParser(file, PDFAFlavour.PDFUA_1)) {
        ValidationResult result =
            Foundries.defaultInstance().createValidator(PDFAFlavour.PDFUA_1, false).validate(parser);
        List<String> failed = new ArrayList<>();
        result.getFailedChecks().keySet().forEach(rule -> failed.add(rule.getClause() + "-" + rule.getTestNumber()));
        if (!result.isCompliant() && failed.isEmpty()) failed.add("not-compliant");
        System.out.println(file.getName() + "\t" + result.getTotalAssertions() + "\t" + String.join(" ", failed));
      }
    }
  }
}
